"""A reader of the book: it types the code of a chapter, runs the commands, compares the output."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from scripts.book import write_block
from tests.support.concurrency import wait_until
from tests.support.markdown import Block
from tests.support.processes import free_port

ADDRESS = "localhost:5000"
TIMEOUT_SECONDS = 120


class Reader:
    """A folder with code, a shell whose variables last, and a server that has the newest code."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._state = folder.parent / f"{folder.name}-state"
        self._state.write_text("")
        self._log = folder.parent / f"{folder.name}-log"
        self._shells: list[int] = []
        self._served_code_time = 0.0
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MONGODB_URI": database,
            "MAIL_PORT": str(free_port()),
            "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        }

    def follow(self, blocks: Iterable[Block]) -> None:
        """Do what the blocks of a page say, in their order."""
        printed = ""
        for block in blocks:
            if block.title:
                write_block(block, self.folder)
            elif block.language == "sh":
                printed = self._run(block.source)
            elif block.language == "text":
                assert _matches(printed, block.source), f"line {block.line}, printed:\n{printed}"

    def _run(self, commands: str) -> str:
        if self._code_time() > self._served_code_time:
            self.stop_server()
        needs_server = "curl" in commands + self._state.read_text() and "gunicorn" not in commands
        if needs_server and self._server is None:
            self._start_server()
        commands = commands.replace(ADDRESS, f"localhost:{self.port}")
        keep = f"{{ export -p; declare -f; }} >'{self._state}'"
        script = f"set -a; . '{self._state}'; {{\n{commands}\n}}; {keep}"
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._shells.append(shell.pid)
        return shell.communicate(timeout=TIMEOUT_SECONDS)[0]

    def _code_time(self) -> float:
        """Return when the code was changed last."""
        return max((it.stat().st_mtime for it in self.folder.rglob("*.py")), default=0)

    def _start_server(self) -> None:
        self._served_code_time = self._code_time()
        command = f". '{self._state}'; exec flask --app app run --port {self.port}"
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        server = self._server
        wait_until(lambda: self._is_listening(server), TIMEOUT_SECONDS)

    def _is_listening(self, server: "subprocess.Popen[bytes]") -> bool:
        """Return whether the server listens; fails with its log if it has ended."""
        assert server.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        """End the server, and what the commands have left in the background."""
        self.stop_server()
        for shell in self._shells:
            with suppress(ProcessLookupError):
                os.killpg(shell, signal.SIGKILL)

    def stop_server(self) -> None:
        """End the server, which the next command starts again with the code as it is then."""
        if self._server is not None and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._server = None


def _matches(printed: str, expected: str) -> bool:
    """Compare without spaces and line breaks; `...` in what is expected stands for any text."""
    pattern = re.escape("".join(expected.split())).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, "".join(printed.split())) is not None
