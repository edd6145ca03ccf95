"""SMTP with a deadline on every dialogue, and with errors that say whose fault it was."""

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import flask_mail
from flask import current_app

from infra.redaction import redact
from jobs.errors import Fail, PauseLane, PauseQueue, RetryLater

# The server closes the connection, whatever the email (RFC 5321 §3.8).
SERVICE_CLOSING = 421
# A wrong password does not become right, and further attempts may lock the account.
LOGIN_RETRY_SECONDS = 900.0
# Other emails wait meanwhile.
QUIT_SECONDS = 1.0


class LoginError(smtplib.SMTPException):
    """The server refuses the login."""


class Client(smtplib.SMTP):
    """An SMTP client that spends `timeout` seconds on a dialogue: to log in, or on one email.

    The timeout of smtplib is for each read: a server that sends a byte now and then would keep it
    waiting without end.
    """

    has_recipient: bool  # named in this dialogue
    _deadline: float  # a time.monotonic()

    def begin_dialogue(self, seconds: float) -> None:
        """Allow so many seconds for what follows, altogether."""
        self._deadline = time.monotonic() + seconds
        self.has_recipient = False

    def rcpt(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """Name a recipient: what fails from now on may be because of it."""
        self.has_recipient = True
        return super().rcpt(*args, **options)

    def seconds_left(self) -> float:
        """Return the seconds until the deadline; raises TimeoutError if it is over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to any of the addresses of host; called first."""
        self.begin_dialogue(timeout)
        count = len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        connected: socket.socket = super()._get_socket(host, port, timeout / count)  # type: ignore[misc]  # private in smtplib
        connected.settimeout(self.seconds_left())  # a TLS handshake may follow
        return connected

    def send(self, s: Any) -> None:
        """Send a command or an email; raises SMTPServerDisconnected if it takes too long."""
        if self.sock is not None:
            try:
                self.sock.settimeout(self.seconds_left())
            except TimeoutError as error:
                self.close()
                raise smtplib.SMTPServerDisconnected(str(error)) from None
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Return code and text of a reply; raises SMTPServerDisconnected if it is late."""
        if self.sock is not None:
            self.file = self.file or io.BufferedReader(_Reader(self.sock, self.seconds_left))
        reply: tuple[int, bytes] = super().getreply()
        if self.sock is not None:  # for a TLS handshake that may follow; 0 would not block
            self.sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
        return reply

    def login(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """Log in; raises LoginError with the code of the reply: its text may hold secrets."""
        try:
            return super().login(*args, **options)
        except (OSError, ValueError) as error:  # a ValueError is a text that it can't decode
            raise LoginError(getattr(error, "smtp_code", type(error).__name__)) from None


class TLSClient(smtplib.SMTP_SSL, Client):
    """The same, inside TLS from the first byte."""


class _Reader(io.RawIOBase):
    """Reads a socket within the seconds that are left."""

    def __init__(self, sock: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._sock = sock
        self._seconds_left = seconds_left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._seconds_left())
        return self._sock.recv_into(buffer)


class Connection(flask_mail.Connection):
    """The connection for a batch of emails, opened with the first.

    Flask-Mail's own has no timeout, and its STARTTLS accepts any certificate.
    """

    host: Client | None

    def open(self) -> bool:
        """Connect to MAIL_SERVER and log in; return whether there was anything to do.

        Raises:
            OSError: SMTPException is one; close the connection then.
        """
        if self.host is not None or self.mail.server is None:
            return False
        self.host = self._connect(current_app.config["MAIL_TIMEOUT"])
        if self.mail.use_tls:
            self.host.starttls(context=ssl.create_default_context())
        self.host.ehlo_or_helo_if_needed()
        if self.mail.username and self.mail.password:
            self.host.login(self.mail.username, self.mail.password)
        return True

    @property
    def has_recipient(self) -> bool:
        """Return whether the current dialogue is about a recipient already."""
        return self.host is not None and self.host.has_recipient

    def send(self, *args: Any, **options: Any) -> None:
        """Send an email in a dialogue of its own; raises OSError."""
        if self.host is not None:
            self.host.begin_dialogue(self.host.timeout)
        super().send(*args, **options)

    def _connect(self, timeout: int) -> Client:
        server, port = self.mail.server, self.mail.port
        if self.mail.use_ssl:
            tls = ssl.create_default_context()
            return TLSClient(server, port, timeout=timeout, context=tls)
        return Client(server, port, timeout=timeout)

    def close(self) -> None:
        """End the connection with QUIT if the server still replies."""
        host, self.host = self.host, None
        if host is not None:
            try:
                host.begin_dialogue(QUIT_SECONDS)
                host.quit()
            except OSError:
                host.close()


@contextmanager
def job_errors(connection: Connection, job_error: Callable[[OSError], Exception]) -> Iterator[None]:
    """Close the connection after any error; raise what an SMTP error means for the queue."""
    try:
        yield
    except Exception as error:
        meaning = job_error(error) if isinstance(error, OSError) else None
        connection.close()
        if meaning:
            raise meaning from error
        raise


def connection_error(error: OSError) -> PauseQueue:
    """Return what an error before the first email means: all emails have to wait."""
    delay = LOGIN_RETRY_SECONDS if isinstance(error, LoginError) else None
    return PauseQueue(_reason(type(error).__name__ + ":", error), delay)


def email_error(
    error: OSError, connection: Connection, personal: Iterable[str]
) -> Fail | RetryLater:
    """Return what an error means for the email that is being sent.

    A reply of 5xx about the email fails it, any other error delays it (RFC 5321 §4.5.4.1). Its
    destination is ill if the dialogue about the recipient had no end: it took too long, was lost,
    or got a 421. The reason lacks what is `personal`, because a reply may repeat it.
    """
    code, _ = _reply(error)
    has_reply = isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError))
    reason = _reason("SMTP" if code else type(error).__name__ + ":", error, personal)
    if has_reply and code >= 500:
        return Fail(reason)
    if not connection.has_recipient or (has_reply and code != SERVICE_CLOSING):
        return RetryLater(reason)
    return PauseLane(reason)


def _reason(prefix: str, error: OSError, personal: Iterable[str] = ()) -> str:
    code, text = _reply(error)
    config = current_app.config
    secrets = [secret for name in ("PASSWORD", "USERNAME") if (secret := config[f"MAIL_{name}"])]
    redacted = redact(text, [*secrets, *personal])
    return " ".join(part for part in (prefix, str(code or ""), redacted) if part)


def _reply(error: OSError) -> tuple[int, str]:
    """Return code and text of the reply; 0 and the error's own text if there was none."""
    code, text = getattr(error, "smtp_code", 0), getattr(error, "smtp_error", str(error))
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
    return int(code), text if isinstance(text, str) else text.decode(errors="replace")
