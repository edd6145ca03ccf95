"""The SMTP server of the tests: it keeps what it receives, and replies as a test scripts it."""

import email
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import default
from enum import Enum

from tests.support.processes import HOME

CERTIFICATE = HOME / "tests" / "support" / "localhost.pem"
ACCEPTING = {
    "connect": "220 ready",
    "EHLO": "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
    "STARTTLS": "220 go on",
    "AUTH": "235 welcome",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go on",
    ".": "250 OK",
    "RSET": "250 OK",
    "QUIT": "221 bye",
}
# Each of these may follow only these, of which the last had a reply of 2xx (RFC 5321 §4.1.4).
ORDER = {"MAIL": ("EHLO", "AUTH", "RSET", "."), "RCPT": ("MAIL", "RCPT"), "DATA": ("RCPT",)}
OUT_OF_ORDER = "503 bad sequence of commands"
IDLE_SECONDS = 60
DRIP_SECONDS = 0.05
PAUSE_SECONDS = 0.8
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Fault(Enum):
    """What the server does in place of a reply, or after one."""

    RESET = "resets the connection"
    SILENCE = "sends nothing and keeps the connection"
    DRIP = "sends a byte of a reply now and then, without an end"
    PAUSE = "sends such bytes for 0.8 s, the end of the reply after another 0.8 s"
    NO_TLS = "sends plain text where TLS must begin"


Step = str | Fault
Reply = Step | list[Step]


class Mailbox:
    """What an SMTP server has received, and how it replies.

    `replies` has the reply to each command: text, a Fault, a list of these, or a function of the
    recipient that returns one. "connect" and "." are the replies to a connection and to the email.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.dialogues: list[list[str]] = []  # the commands of each connection
        self.connected_at: list[float] = []  # time.monotonic() of each connection
        self.seconds_a_mail = 0.0
        self.replies: dict[str, Reply | Callable[[str], Reply]] = dict(ACCEPTING)
        self.reply_suffix = ""  # a server may repeat what a client has sent
        self._changed = threading.Condition()

    @property
    def connections(self) -> int:
        """Return how many connections there have been."""
        return len(self.dialogues)

    @property
    def reply(self) -> Reply | Callable[[str], Reply]:
        """Return the reply to RCPT."""
        return self.replies["RCPT"]

    @reply.setter
    def reply(self, reply: Reply | Callable[[str], Reply]) -> None:
        self.replies["RCPT"] = reply

    def accept_everything(self) -> None:
        """Reply without faults from now on."""
        self.replies = dict(ACCEPTING)

    def add(self, content: bytes) -> None:
        """Keep a message as it was received."""
        with self._changed:
            self.mails.append(email.message_from_bytes(content, policy=default))
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 10) -> list[EmailMessage]:
        """Return the mails once there are count of them; fail after so many seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.mails) >= count, seconds)
            assert arrived, f"{len(self.mails)} of {count} mails in {seconds} s"
            return list(self.mails)

    def to(self, address: str) -> list[EmailMessage]:
        """Return what came for address."""
        return [mail for mail in self.mails if mail["To"] == address]

    def remove_to(self, address: str) -> None:
        """Forget what came for address."""
        with self._changed:
            self.mails = [mail for mail in self.mails if mail["To"] != address]


class _EndOfDialogue(Exception):
    """The server closes the connection."""


class _Dialogue:
    """One connection to the server."""

    def __init__(self, mailbox: Mailbox, connection: socket.socket, implicit_tls: bool) -> None:
        self._mailbox = mailbox
        self._connection = connection
        self._implicit_tls = implicit_tls
        self._closing = threading.Event()
        self._recipient = ""
        self._previous = ""  # the last command whose reply was 2xx
        self._commands: list[str] = []
        mailbox.connected_at.append(time.monotonic())
        mailbox.dialogues.append(self._commands)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the dialogue, whatever it waits for."""
        self._closing.set()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _run(self) -> None:
        try:
            with suppress(OSError, _EndOfDialogue):
                self._connection.settimeout(IDLE_SECONDS)
                if self._implicit_tls:
                    self._start_tls()
                self._reply("connect")
                self._obey_commands()
        finally:
            self._connection.close()

    def _obey_commands(self) -> None:
        while True:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    if self._obey(line.decode(errors="replace").strip(), lines):
                        break
                else:
                    return
            self._start_tls()

    def _start_tls(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        self._connection = context.wrap_socket(self._connection, server_side=True)

    def _obey(self, command: str, lines: Iterator[bytes]) -> bool:
        """Reply to a command; return whether TLS must begin."""
        self._commands.append(command)
        verb = command.partition(" ")[0].upper()
        if verb == "RCPT":
            self._recipient = command.partition("<")[2].rstrip(">")
        if self._previous not in ORDER.get(verb, [self._previous]):
            self._perform(OUT_OF_ORDER)
            return False
        steps = self._reply(verb)
        if verb == "DATA" and str(steps[0]).startswith("354"):
            self._receive(lines)
        if verb == "QUIT":
            raise _EndOfDialogue
        return verb == "STARTTLS" and steps == [ACCEPTING["STARTTLS"]]

    def _receive(self, lines: Iterator[bytes]) -> None:
        """Receive a message; a dot at the start of a line is doubled (RFC 5321 §4.5.2)."""
        content = b""
        while (line := next(lines, b"")) != b".\r\n":
            if not line:
                raise _EndOfDialogue
            content += line.removeprefix(b".")
        if self._closing.wait(self._mailbox.seconds_a_mail):
            raise _EndOfDialogue
        self._reply(".", content)

    def _reply(self, event: str, content: bytes = b"") -> list[Step]:
        reply = self._mailbox.replies.get(event, "500 what?")
        if callable(reply):
            reply = reply(self._recipient)
        steps = reply if isinstance(reply, list) else [reply]
        if str(steps[0]).startswith("2"):
            self._previous = event
            if content:
                self._mailbox.add(content)
        for step in steps:
            self._perform(step)
        return steps

    def _perform(self, step: Step) -> None:
        if isinstance(step, str):
            self._connection.sendall(f"{step} {self._mailbox.reply_suffix}\r\n".encode())
        elif step is Fault.RESET:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            raise _EndOfDialogue
        elif step is Fault.SILENCE:
            self._closing.wait(IDLE_SECONDS)
        elif step is Fault.DRIP:
            self._drip(10**6)
        elif step is Fault.PAUSE:
            self._drip(16)
            self._closing.wait(PAUSE_SECONDS)
            self._connection.sendall(b" OK\r\n")
        else:
            self._connection.recv(1)
            self._connection.sendall(b"500 what?\r\n")

    def _drip(self, count: int) -> None:
        for _ in range(count):
            if self._closing.wait(DRIP_SECONDS):
                raise _EndOfDialogue
            self._connection.sendall(b"2")


class _Server:
    """Listens on loopback and has a dialogue with each client."""

    def __init__(self, mailbox: Mailbox, port: int, implicit_tls: bool) -> None:
        self._mailbox, self._implicit_tls = mailbox, implicit_tls
        self._listener = socket.create_server(("127.0.0.1", port), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._dialogues: list[_Dialogue] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._dialogues.append(_Dialogue(self._mailbox, connection, self._implicit_tls))

    def close(self) -> None:
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for dialogue in self._dialogues:
            dialogue.close()


@contextmanager
def smtp_server(mailbox: Mailbox, port: int = 0, implicit_tls: bool = False) -> Iterator[int]:
    """Serve mailbox on loopback; yield the port. It offers STARTTLS with CERTIFICATE."""
    server = _Server(mailbox, port, implicit_tls)
    try:
        yield server.port
    finally:
        server.close()


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and send nothing; yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


def text_of(mail: EmailMessage) -> str:
    return mail.get_body(("plain",)).get_content()


def html_of(mail: EmailMessage) -> str:
    return mail.get_body(("html",)).get_content()


def token_in(mail: EmailMessage) -> str:
    """Return the token of the link in a mail."""
    return re.search(r"/(?:reset|confirm|undo|invite)/(\S+)", text_of(mail))[1]
