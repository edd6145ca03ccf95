"""A mail server that answers by a script: refuses, hangs up, falls silent, drips and dries up."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

HEALTHY = {
    "connect": "220 ready",
    "EHLO": "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
    "STARTTLS": "454 no",
    "AUTH": "235 welcome",
    "MAIL": "250 go on",
    "RCPT": "250 go on",
    "DATA": "354 go on",
    ".": "250 taken",
    "RSET": "250 go on",
    "QUIT": "221 bye",
}
# In place of an answer; after one, behind a plus.
RESET, SILENCE, DRIP, DRY_UP = "reset", "silence", "drip", "dry up"
DRIP_SECONDS = 0.05
DROPS = {DRIP: 10**6, DRY_UP: 16}
AT_ONCE = struct.pack("ii", 1, 0)

Answer = str | Callable[[str], str]


class HangUp(Exception):
    """The dialogue is over."""


class ScriptedServer:
    """`answers` tells what it says to each command, as a text or a function of the recipient."""

    def __init__(self, *words: str) -> None:
        """Repeat these words in every answer, as talkative servers do."""
        self.answers: dict[str, Answer] = dict(HEALTHY)
        self.heard: list[list[str]] = []  # the commands of each dialogue
        self.begun: list[float] = []
        self.taken: list[str] = []  # the recipient of each mail that was answered with 250
        self._words = " ".join(words)
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def heal(self) -> None:
        """Answer as one should, from now on."""
        self.answers = dict(HEALTHY)

    def close(self) -> None:
        """End every dialogue, and listen no more."""
        self._over.set()
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                thread = threading.Thread(target=self._talk, args=[connection], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _talk(self, connection: socket.socket) -> None:
        commands: list[str] = []
        self.heard.append(commands)
        self.begun.append(time.monotonic())
        with connection, contextlib.suppress(OSError, HangUp):
            connection.settimeout(60)
            lines = connection.makefile("rb")
            with lines:
                self._converse(connection, lines, commands)

    def _converse(
        self, connection: socket.socket, lines: Iterator[bytes], commands: list[str]
    ) -> None:
        recipient = ""
        self._answer(connection, "connect", recipient)
        for line in lines:
            commands.append(line.decode(errors="replace").strip())
            verb = commands[-1].partition(" ")[0].upper()
            if verb == "RCPT":
                recipient = commands[-1].partition("<")[2].rstrip(">")
            said = self._answer(connection, verb, recipient)
            if verb == "DATA" and said.startswith("354"):
                while next(lines, b"") not in (b".\r\n", b""):
                    pass
                self._answer(connection, ".", recipient)

    def _answer(self, connection: socket.socket, verb: str, recipient: str) -> str:
        answer = self.answers.get(verb, "500 what?")
        said, _, then = (answer if isinstance(answer, str) else answer(recipient)).partition("+")
        if verb == "." and said.startswith("250"):
            self.taken.append(recipient)
        for act in filter(None, (said, then)):
            self._act(connection, act)
        return said

    def _act(self, connection: socket.socket, act: str) -> None:
        if act == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            raise HangUp
        if act not in (SILENCE, *DROPS):
            connection.sendall(f"{act} {self._words}\r\n".encode())
            return
        for _ in range(DROPS.get(act, 0)):
            if self._over.wait(DRIP_SECONDS):
                return
            connection.sendall(b"2")
        self._over.wait()


@contextlib.contextmanager
def scripted_server(*words: str) -> Iterator[ScriptedServer]:
    """Serve on loopback, in good health at first."""
    server = ScriptedServer(*words)
    try:
        yield server
    finally:
        server.close()
