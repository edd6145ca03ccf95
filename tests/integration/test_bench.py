"""The measurement of `make bench`: it sends what it says and accepts no error as a response."""

import logging
import socket
import threading

import pytest

from bench import __main__ as bench
from bench.load import REQUESTS_PER_CONNECTION, TOKEN, Load, request, run
from bench.report import DOCS, END, read_arguments, write_table
from bench.rows import Row, compare

HEALTH = request("GET", "/healthz")


class TestLoad:
    def test_clients_send_as_many_requests_as_asked(self, api, caplog):
        caplog.set_level(logging.DEBUG, "web.request_log")
        outcome = run(Load(api.port, [HEALTH], clients=3, count=50))
        assert len([record for record in caplog.records if record.route == "/healthz"]) == 50
        assert 0 < outcome.p50 <= outcome.p95

    def test_clients_send_for_as_long_as_asked(self, api):
        outcome = run(Load(api.port, [HEALTH], clients=2, seconds=0.5, pause=0.05))
        assert 1 < outcome.rate < 2 * (2 / 0.05)

    def test_client_sends_the_refresh_token_of_its_last_response(self, api, ada):
        refresh = request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")
        tokens, count = [ada["refresh_token"]], REQUESTS_PER_CONNECTION + 5
        run(Load(api.port, [refresh], clients=1, count=count, tokens=tokens))

    def test_error_ends_the_measurement(self, api):
        with pytest.raises(RuntimeError, match="MissingTokenError"):
            run(Load(api.port, [request("GET", "/api/auth/verify")], count=1))

    def test_closed_connection_ends_the_measurement(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            with pytest.raises(RuntimeError, match=r"Closed|reset"):
                run(Load(listener.getsockname()[1], [HEALTH], clients=1, count=1))


class TestCompare:
    def test_ratio_is_the_median_of_the_rounds_that_count(self):
        ours, theirs = iter([99, 1, 2, 9]), iter([1, 2, 2, 2])
        assert compare(lambda: next(ours), lambda: next(theirs)) == (2, 2, 1)


class TestReport:
    def test_table_replaces_the_one_before(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(f"before\n{bench.BEGIN}old\n{END}\nafter\n")
        write_table(page, bench.BEGIN, "new\n")
        assert page.read_text() == f"before\n{bench.BEGIN}new\n{END}\nafter\n"

    def test_page_has_a_place_for_the_table(self):
        assert DOCS.read_text().count(bench.BEGIN) == 1

    @pytest.mark.parametrize(("words", "page"), [([], DOCS), (["page.md"], None)])
    def test_table_goes_to_the_page_that_is_named(self, monkeypatch, tmp_path, words, page):
        monkeypatch.setattr("sys.argv", ["bench", *(str(tmp_path / word) for word in words)])
        assert read_arguments("") == (page or tmp_path / "page.md")

    def test_row_says_whether_its_target_is_reached(self):
        row = Row("x", "1/s", "y", "2/s", "0.50", "≥ 0.75", reached=False)
        assert bench.row_line(row) == "| x | 1/s | y | 2/s | 0.50 | ≥ 0.75 | **no** |"
