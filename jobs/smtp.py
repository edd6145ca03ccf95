"""SMTP with a deadline on every reply, and with errors that say whose fault it was."""

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask_mail
from flask import current_app

from jobs.worker import Fail, PauseQueue, RetryLater

# The server closes the connection, whatever the email (RFC 5321 §3.8).
SERVICE_CLOSING = 421
# A wrong password does not become right, and further attempts may lock the account.
LOGIN_RETRY_SECONDS = 900.0


class LoginError(smtplib.SMTPException):
    """The server refuses the login."""


class Client(smtplib.SMTP):
    """An SMTP client that waits `timeout` seconds for a reply.

    The timeout of smtplib is for each read: a server that sends a byte now and then would keep it
    waiting without end.
    """

    def getreply(self) -> tuple[int, bytes]:
        """Return code and text of a reply; raises SMTPServerDisconnected if it is late."""
        if self.sock is not None:
            self.file = self.file or io.BufferedReader(_Reader(self.sock))
            self.file.raw.deadline = time.monotonic() + self.timeout
        return super().getreply()

    def login(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """Log in; raises LoginError with the code of the reply: its text may hold secrets."""
        try:
            return super().login(*args, **options)
        except (OSError, ValueError) as error:  # a ValueError is a text that it can't decode
            raise LoginError(getattr(error, "smtp_code", type(error).__name__)) from None


class TLSClient(Client, smtplib.SMTP_SSL):
    """The same, inside TLS from the first byte."""


class _Reader(io.RawIOBase):
    """Reads a socket until `deadline`, a time.monotonic()."""

    deadline: float

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left, usual = self.deadline - time.monotonic(), self._sock.gettimeout()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        try:
            return self._sock.recv_into(buffer)
        finally:
            self._sock.settimeout(usual)


class Connection(flask_mail.Connection):
    """The connection for a batch of emails, opened with the first.

    Flask-Mail's own has no timeout, and its STARTTLS accepts any certificate.
    """

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
        if self.mail.username and self.mail.password:
            self.host.login(self.mail.username, self.mail.password)
        return True

    def _connect(self, timeout: int) -> Client:
        server, port = self.mail.server, self.mail.port
        if self.mail.use_ssl:
            tls = ssl.create_default_context()
            return TLSClient(server, port, timeout=timeout, context=tls)
        return Client(server, port, timeout=timeout)

    def close(self) -> None:
        """End the dialogue with QUIT if the server still replies."""
        host, self.host = self.host, None
        if host is not None:
            try:
                host.quit()
            except OSError:
                host.close()


@contextmanager
def job_errors(connection: Connection) -> Iterator[None]:
    """Close the connection after any error; raise what an SMTP error means for the queue."""
    try:
        yield
    except Exception as error:
        connection.close()
        if isinstance(error, OSError):
            raise job_error(error) from error
        raise


def job_error(error: OSError) -> Fail | RetryLater | PauseQueue:
    """Return what an SMTP error means for the queue.

    A reply about this one email fails it (5xx) or delays it (4xx). Every other error is of the
    server or of a setting, so that all emails have to wait. The reasons hold the code only: the
    text of a reply may repeat an email or a password.
    """
    code = _reply_code(error)
    is_about_email = isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError))
    if is_about_email and code >= 500:
        return Fail(f"SMTP {code}")
    if is_about_email and code not in (0, SERVICE_CLOSING):
        return RetryLater(f"SMTP {code}")
    delay = LOGIN_RETRY_SECONDS if isinstance(error, LoginError) else None
    return PauseQueue(f"{type(error).__name__}: {code or error}", delay)


def _reply_code(error: OSError) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return int(getattr(error, "smtp_code", 0))
