"""What measures asks as it says, and takes no refusal for an answer."""

import socket
import threading

import pytest

from bench import __main__ as bench
from bench.load import REQUESTS_A_CONNECTION, TOKEN, Load, request, run
from bench.rows import Row, compare

HEALTH = request("GET", "/healthz")


@pytest.fixture
def port(api):
    return api.server.effective_port


def test_clients_ask_until_they_have_asked_so_often(port, caplog):
    caplog.set_level("DEBUG", "resources.access")
    outcome = run(Load(port, [HEALTH], clients=3, count=50))
    assert len([each for each in caplog.records if each.route == "/healthz"]) == 50
    assert 0 < outcome.p50 <= outcome.p95


def test_clients_ask_for_so_long(port):
    outcome = run(Load(port, [HEALTH], clients=2, seconds=0.5, pause=0.05))
    assert 1 < outcome.rate < 2 * (2 / 0.05)


def test_a_client_goes_on_with_the_token_that_it_was_answered(port, ada):
    asked = request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")
    tokens = [ada["refresh_token"]]
    run(Load(port, [asked], clients=1, count=REQUESTS_A_CONNECTION + 5, tokens=tokens))


def test_any_other_answer_than_a_200_ends_the_measurement(port):
    with pytest.raises(RuntimeError, match="MissingTokenError"):
        run(Load(port, [request("GET", "/api/auth/verify")], count=1))


def test_a_connection_that_ends_before_its_answer_ends_the_measurement():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        with pytest.raises(RuntimeError, match=r"Closed|reset"):
            run(Load(listener.getsockname()[1], [HEALTH], clients=1, count=1))


def test_a_ratio_is_the_median_of_rounds_that_count():
    ours, theirs = iter([99, 1, 2, 9]), iter([1, 2, 2, 2])
    assert compare(lambda: next(ours), lambda: next(theirs)) == (2, 2, 1)


def test_what_is_written_takes_the_place_of_what_was(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.BEGIN}old\n{bench.END}\nafter\n")
    monkeypatch.setattr(bench, "PAGE", page)
    bench.write(bench.BEGIN, "new\n")
    assert page.read_text() == f"before\n{bench.BEGIN}new\n{bench.END}\nafter\n"


def test_a_row_says_whether_it_is_what_it_should_be():
    row = Row("x", "1/s", "y", "2/s", "0.50", "≥ 0.75", reached=False)
    assert bench.line(row) == "| x | 1/s | y | 2/s | 0.50 | ≥ 0.75 | **no** |"
