"""SMTP as the outbox needs it: no wait without an end, and an error whose fault is known."""

import io
import smtplib
import socket
import time
from typing import Any

CLOSING = 421


class LoginError(smtplib.SMTPException):
    """The server does not let us in. Tried again and again, that may lock the account."""


class Client(smtplib.SMTP):
    """An SMTP client that waits `timeout` seconds for an answer.

    smtplib's timeout is for each read: one byte now and then keeps it waiting for ever.
    """

    def getreply(self) -> tuple[int, bytes]:
        """Return code and text of an answer; raises SMTPServerDisconnected if it is late."""
        if self.sock is not None:
            self.file = self.file or io.BufferedReader(_Reader(self.sock))
            self.file.raw.deadline = time.monotonic() + self.timeout
        return super().getreply()

    def login(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """Log in; raises LoginError with the server's code, not its words, or with what failed."""
        try:
            return super().login(*args, **options)
        except (OSError, ValueError) as error:  # ValueErrors are of texts that it can't decode
            raise LoginError(getattr(error, "smtp_code", type(error).__name__)) from None


class TLSClient(Client, smtplib.SMTP_SSL):
    """The same inside TLS from the first byte."""


class _Reader(io.RawIOBase):
    """What comes from a socket before `deadline`, a time.monotonic()."""

    deadline: float

    def __init__(self, sock: socket.socket) -> None:
        """Read nothing yet."""
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


def reply_code(error: Exception) -> int:
    """Return what the server replied to this one mail; 0 when that is not what went wrong.

    A sender that is refused is not the mail's fault but a setting's, for someone to mend; a
    server that closes (RFC 5321 §3.8) does so whatever the mail.
    """
    of_mail = isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError))
    code = _code(error)
    return code if of_mail and code != CLOSING else 0


def reason(error: Exception) -> str:
    """Say what went wrong, for people.

    Of what the server says only the code: its words may repeat an address, or a password.
    """
    if code := reply_code(error):
        return f"SMTP {code}"
    said = (_code(error) or error) if isinstance(error, OSError) else "?"
    return f"{type(error).__name__}: {said}"


def _code(error: Exception) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return int(next(iter(error.recipients.values()))[0])
    return int(getattr(error, "smtp_code", 0))
