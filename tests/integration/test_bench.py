"""The measurement of `make bench`: it sends what it says and accepts no error as a response."""

import logging
import socket
import threading
import time

import pytest

from bench import __main__ as bench
from bench import sizes
from bench.load import REQUESTS_PER_CONNECTION, TOKEN, Load, request, run, run_together
from bench.report import DOCS, END, read_arguments, write_chart, write_table
from bench.rows import ROUNDS, Row, compare
from bench.under_load import FIGURES, Point, curves

HEALTH = request("GET", "/healthz")
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
SLOW_SECONDS = 0.02


def respond_slowly(listener):
    """Respond to the requests of one connection, to one after the other."""
    connection, _ = listener.accept()
    with connection:
        while connection.recv(1 << 16):
            time.sleep(SLOW_SECONDS)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def respond_and_close(listener: socket.socket, response: bytes) -> None:
    """Serve two clients; the second waits while the first one's connection is closed."""
    for connection in [listener.accept()[0] for _ in range(2)]:
        with connection:
            connection.recv(4096)
            connection.sendall(response)
        time.sleep(0.2)


class TestLoad:
    def test_clients_send_as_many_requests_as_asked(self, api, caplog):
        caplog.set_level(logging.DEBUG, "web.request_log")
        outcome = run(Load(api.port, [HEALTH], clients=3, count=50))
        assert len([record for record in caplog.records if record.route == "/healthz"]) == 50
        assert 0 < outcome.p50 <= outcome.p95 <= outcome.p99

    def test_clients_send_for_as_long_as_asked(self, api):
        outcome = run(Load(api.port, [HEALTH], clients=2, seconds=0.5, pause=0.05))
        assert 1 < outcome.rate < 2 * (2 / 0.05)

    def test_request_that_is_sent_late_takes_time_since_it_was_due(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=respond_slowly, args=(listener,), daemon=True).start()
            load = Load(listener.getsockname()[1], [HEALTH], clients=1, count=20, rate=100_000)
            assert run(load).p99 > 1000 * 15 * SLOW_SECONDS

    def test_requests_come_no_faster_than_their_rate(self, api):
        outcome = run(Load(api.port, [HEALTH], clients=4, seconds=1, rate=20))
        assert 1 < outcome.rate < 40

    def test_loads_run_together(self, api, caplog):
        caplog.set_level(logging.DEBUG, "web.request_log")
        loads = [Load(api.port, [HEALTH], clients=2, count=count) for count in (10, 5)]
        assert len(run_together(*loads)) == 2
        assert len([record for record in caplog.records if record.route == "/healthz"]) == 15

    def test_client_sends_the_refresh_token_of_its_last_response(self, api, ada):
        refresh = request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")
        tokens, count = [ada["refresh_token"]], REQUESTS_PER_CONNECTION + 5
        run(Load(api.port, [refresh], clients=1, count=count, tokens=tokens))

    def test_error_ends_the_measurement(self, api):
        with pytest.raises(RuntimeError, match="MissingTokenError"):
            run(Load(api.port, [request("GET", "/api/auth/verify")], count=1))

    @pytest.mark.parametrize("response", [NO_CONTENT, CHUNKED], ids=["204", "chunked"])
    def test_response_without_a_length_is_complete(self, response):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=respond_and_close, args=(listener, response)).start()
            assert run(Load(listener.getsockname()[1], [HEALTH], clients=2, count=2)).rate > 0

    def test_closed_connection_ends_the_measurement(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            with pytest.raises(RuntimeError, match=r"Closed|reset"):
                run(Load(listener.getsockname()[1], [HEALTH], clients=1, count=1))


class TestCompare:
    def test_ratio_is_the_median_of_the_rounds_that_count(self):
        ours, theirs = iter([99, 1, 1, 2, 9, 9]), iter([1, *ROUNDS * [2]])
        assert compare(lambda: next(ours), lambda: next(theirs)) == (2, 2, 1)


class TestReport:
    def test_table_replaces_the_one_before(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(f"before\n{bench.BEGIN}old\n{END}\nafter\n")
        write_table(page, bench.BEGIN, "new\n")
        assert page.read_text() == f"before\n{bench.BEGIN}new\n{END}\nafter\n"

    @pytest.mark.parametrize("begin", [bench.BEGIN, bench.LOAD_BEGIN, sizes.BEGIN])
    def test_page_has_a_place_for_the_table(self, begin):
        assert DOCS.read_text().count(begin) == 1

    @pytest.mark.parametrize(("words", "page"), [([], DOCS), (["page.md"], None)])
    def test_table_goes_to_the_page_that_is_named(self, monkeypatch, tmp_path, words, page):
        monkeypatch.setattr("sys.argv", ["bench", *(str(tmp_path / word) for word in words)])
        assert read_arguments("") == (page or tmp_path / "page.md")

    def test_chart_is_written_beside_the_page(self, tmp_path):
        write_chart(tmp_path / "page.md", "load", "<svg/>")
        assert (tmp_path / "images/performance-load.svg").read_text() == "<svg/>"

    @pytest.mark.parametrize(
        ("target", "at_most", "end"),
        [
            (0.75, False, "≥ 0.75 | **no** |"),
            (0.5, False, "≥ 0.5 | yes |"),
            (0.4, True, "≤ 0.4 | **no** |"),
            (1.2, True, "≤ 1.2 | yes |"),
            (None, False, "– | for information |"),
        ],
    )
    def test_row_says_whether_its_target_is_reached(self, target, at_most, end):
        row = Row("x", "1/s", "y", "2/s", 0.5, target, at_most)
        assert bench.row_line(row) == f"| x | 1/s | y | 2/s | 0.50 | {end}"

    def test_points_are_a_line_of_the_table_and_curves_of_the_chart(self):
        points = [Point("GET /one", rate, [rate, 2, 3, 4]) for rate in (10.0, 20.0)]
        assert bench.point_line(points[0]) == "| GET /one | 10 | 10.0 | 2.0 | 3.0 | 4.0 |"
        found = curves(points)["GET /one"]
        assert list(found) == FIGURES
        assert found[FIGURES[0]] == [(10, 10), (20, 20)]


class TestSizes:
    FIGURES = {1000: [1.0, 2.0, 4.0], 30_000: [9.0, 9.0, 9.0], 10**6: [1.0, 2.6, 4.0]}

    def test_ratio_is_the_median_of_the_rounds(self):
        assert sizes.row_line("x", self.FIGURES) == "| x | 2.00 | 9.00 | 2.60 | 1.00 | yes |"
        worse = {**self.FIGURES, 10**6: [1.3, 2.6, 4.0]}
        assert sizes.row_line("x", worse).endswith("| 1.30 | **no** |")

    def test_points_are_the_medians(self):
        points = sizes.to_points({"x": self.FIGURES})
        assert points == {"x": [(1000, 2.0), (30_000, 9.0), (10**6, 2.6)]}
