"""Lists of stolen passwords: a file that a command builds, and a range API."""

import re
import time

import pytest
from click.testing import CliRunner

from commands.passwords import passwords
from config import load_settings
from infra import breached_passwords
from infra.breached_passwords import (
    ENTRY_BYTES,
    MAGIC,
    MAX_RANGE_BYTES,
    LookupFailed,
    UnusableList,
    build,
    contains,
)
from setting_sources import SettingsError
from tests.support.concurrency import wait_until
from tests.support.processes import free_port
from tests.support.range_server import RangeServer, sha1
from tests.support.scripted_server import respond

PASSWORD = "correct horse battery"
DIGEST = sha1(PASSWORD)


class TestFile:
    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / "stolen"

    @pytest.mark.parametrize(
        "line",
        [PASSWORD, DIGEST, DIGEST.lower(), f"{DIGEST}:12", f"{PASSWORD}\r"],
        ids=["password", "digest", "lower case", "count", "CR LF"],
    )
    def test_line_is_a_password_or_its_digest(self, file, line):
        assert build([f"{line}\n".encode()], file) == 1
        assert contains(str(file), PASSWORD)
        assert not contains(str(file), DIGEST)

    def test_each_of_many_is_found_and_no_other(self, file, monkeypatch):
        monkeypatch.setattr(breached_passwords, "PART_LENGTH", 10)
        lines = [f"{number}\n".encode() for number in (*range(0, 200, 2), 4, 4)]
        assert build(lines, file) == 100
        assert [n for n in range(200) if contains(str(file), str(n))] == [*range(0, 200, 2)]

    def test_each_password_takes_8_bytes_and_no_text(self, file):
        build([b"abc\n", b"abc\n", b"def\n"], file)
        assert file.stat().st_size == len(MAGIC) + 2 * ENTRY_BYTES == 29 + 16
        assert b"abc" not in file.read_bytes()

    def test_empty_list_has_no_password(self, file):
        assert build([], file) == 0
        assert not contains(str(file), PASSWORD)

    @pytest.mark.parametrize(
        "line", [f"{'AB' * 16}:3", f"{DIGEST[5:]}:3"], ids=["NTLM", "of a range"]
    )
    def test_other_digests_are_refused_by_number(self, file, line):
        build([b"abc\n"], file)
        before = file.read_bytes()
        with pytest.raises(UnusableList, match=r"line 2: .*SHA-1"):
            build([b"def\n", f"{line}\n".encode()], file)
        assert file.read_bytes() == before
        assert [*file.parent.iterdir()] == [file]

    def test_file_is_replaced_once_it_is_complete(self, file):
        build([b"abc\n"], file)

        def lines():
            yield b"def\n"
            assert contains(str(file), "abc")

        with file.open("rb") as opened:
            build(lines(), file)
            assert opened.read() != file.read_bytes()
        assert contains(str(file), "def")
        assert not contains(str(file), "abc")

    def test_other_files_are_not_read_as_a_list(self, file):
        with pytest.raises(LookupFailed, match="FileNotFoundError"):
            contains(str(file), PASSWORD)
        file.write_text(f"{DIGEST}\n")
        with pytest.raises(LookupFailed, match="not built by"):
            contains(str(file), PASSWORD)


class TestRangeApi:
    @pytest.fixture
    def api(self):
        server = RangeServer()
        with server.run():
            yield server

    def test_five_digits_of_the_digest_are_sent(self, api):
        api.stolen = [PASSWORD]
        assert contains(api.url, PASSWORD)
        assert (api.paths, api.paddings) == ([f"/range/{DIGEST[:5]}"], ["true"])

    def test_other_digest_of_the_range_is_another_password(self, api):
        suffix = f"{'0' * 35}"
        api.handler = lambda request: respond(request, f"{suffix}:4\n{DIGEST[5:]}:0".encode())
        assert not contains(api.url, PASSWORD)

    def test_case_and_missing_counts_do_not_matter(self, api):
        api.handler = lambda request: respond(request, DIGEST[5:].lower().encode())
        assert contains(api.url, PASSWORD)

    def test_empty_range_has_no_password(self, api):
        api.handler = lambda request: respond(request, b"")
        assert not contains(api.url, PASSWORD)

    def test_redirect_is_not_followed(self, api):
        api.stolen = [PASSWORD]
        api.handler = lambda request: respond(request, b"", 302, location=f"/range/{DIGEST[:5]}")
        self.assert_fails(api, "status 302")
        assert len(api.paths) == 1

    def test_slow_answer_is_not_awaited(self, api):
        api.handler = api.hold
        self.assert_fails(api, "TimeoutError")
        assert not api.released.is_set()

    def test_heads_byte_by_byte_hold_no_thread(self, api, monkeypatch):
        monkeypatch.setattr(breached_passwords, "DEADLINE_SECONDS", 0.3)
        api.handler = api.drip
        for _ in range(breached_passwords.THREADS + 1):
            with pytest.raises(LookupFailed):
                contains(api.url, "swordfish")
        monkeypatch.undo()
        api.handler, api.stolen = api.succeed, ["swordfish"]
        assert contains(api.url, "swordfish")

    def test_endless_answer_is_not_read_to_its_end(self, api, monkeypatch):
        monkeypatch.setattr(breached_passwords, "DEADLINE_SECONDS", 0.2)
        closed = []

        def drip(request):
            request.send_response(200)
            request.end_headers()
            try:
                while not api.released.wait(0.02):
                    request.wfile.write(b"\n")
            except ConnectionError:
                closed.append(time.monotonic())

        api.handler = drip
        self.assert_fails(api)
        wait_until(lambda: closed)

    def test_long_answer_is_not_read_to_its_end(self, api):
        line = f"{DIGEST[5:]}:1\n".encode()
        body = line * (MAX_RANGE_BYTES // len(line) + 1)
        api.handler = lambda request: respond(request, body)
        self.assert_fails(api, "too long")

    @pytest.mark.parametrize(
        "handler",
        [
            lambda request: respond(request, b"<html>Log in first</html>"),
            lambda request: respond(request, bytes(range(256))),
            lambda request: respond(request, f"{DIGEST[5:]}:".encode()),
            lambda request: respond(request, f"{DIGEST[5:]}:1\n".encode(), length=4000),
            lambda request: respond(request, b"", 404),
            lambda request: respond(request, b"", 500),
            lambda request: request.wfile.write(b"\x00\x01 no HTTP\r\n\r\n"),
            lambda request: None,
        ],
        ids=["page", "bytes", "half a line", "cut off", "404", "500", "no HTTP", "nothing"],
    )
    def test_other_answers_are_a_failure(self, api, handler):
        api.handler = handler
        self.assert_fails(api)

    def test_refused_connection_is_a_failure(self):
        with pytest.raises(LookupFailed):
            contains(f"http://127.0.0.1:{free_port()}/", PASSWORD)

    @staticmethod
    def assert_fails(api, reason=r"\w"):
        """Assert that a look-up fails, with a reason that has nothing of the digest."""
        with pytest.raises(LookupFailed, match=reason) as failure:
            contains(api.url, PASSWORD)
        assert not re.search("[0-9A-F]{5}|http:", str(failure.value))


class TestBuildCommand:
    @pytest.fixture
    def shell(self):
        runner = CliRunner()
        return lambda *words, **options: runner.invoke(passwords, ["build", *words], **options)

    def test_list_is_read_from_standard_input(self, shell, tmp_path):
        file = tmp_path / "stolen"
        ended = shell("-", str(file), input=f"{DIGEST}:7\nabc\n")
        assert (ended.exit_code, ended.stdout) == (0, f"2 passwords in {file}\n")
        assert contains(str(file), "abc")

    @pytest.mark.parametrize(
        ("source", "target", "status"), [("missing", "stolen", 2), ("list", "no/stolen", 1)]
    )
    def test_missing_file_or_folder_is_an_error(self, shell, tmp_path, source, target, status):
        (tmp_path / "list").write_text("abc\n")
        ended = shell(str(tmp_path / source), str(tmp_path / target))
        assert (ended.exit_code, ended.stdout) == (status, "")
        assert re.search(r"^Error: .*No such file", ended.stderr, re.MULTILINE)

    def test_list_of_other_digests_is_an_error(self, shell, tmp_path):
        ended = shell("-", str(tmp_path / "stolen"), input=f"{'ab' * 16}:7\n")
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "Error: line 1: The digests must be of SHA-1" in ended.stderr
        assert [*tmp_path.glob("stolen*")] == []


class TestSetting:
    """PASSWORD_BREACHED: what names a list."""

    @pytest.mark.parametrize(
        "where",
        [
            "https://api.pwnedpasswords.com/range/",
            "https://intranet/?prefix=",
            "http://localhost:8080/",
            "http://127.0.0.1/range/",
            "http://[::1]:8080/range/",
            __file__,
        ],
    )
    def test_url_or_file_is_accepted(self, where):
        assert load_settings({"PASSWORD_BREACHED": where})["PASSWORD_BREACHED"] == where

    @pytest.mark.parametrize(
        "where",
        [
            "http://api.pwnedpasswords.com/range/",
            "http://localhost.example/",
            "http://localhost:80@example.com/",
            "https://ada:password@example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "/no/such/file",
            "/",
        ],
    )
    def test_other_urls_and_files_are_refused(self, where):
        with pytest.raises(SettingsError, match="PASSWORD_BREACHED: Must be a file"):
            load_settings({"PASSWORD_BREACHED": where})
