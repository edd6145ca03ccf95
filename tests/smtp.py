"""A mail server for tests: it speaks SMTP, keeps what it gets, and misbehaves on demand."""

import asyncio
import email
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """An aiosmtpd handler. `reply` decides, by recipient, what the server says to RCPT."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.connections = 0
        self.transports: list[asyncio.Transport] = []
        self.seconds_a_mail = 0.0
        self.reply: Callable[[str], str] = lambda recipient: "250 OK"
        self._changed = threading.Condition()

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        self.transports.append(server.transport)
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        reply = self.reply(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.seconds_a_mail)
        with self._changed:
            self.mails.append(email.message_from_bytes(envelope.content, policy=default))
            self._changed.notify_all()
        return "250 OK"

    def wait_for(self, count: int, seconds: float = 10) -> list[EmailMessage]:
        """Return the mails once there are count of them; fail after so many seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.mails) >= count, seconds)
            assert arrived, f"{len(self.mails)} of {count} mails in {seconds} s"
            return list(self.mails)

    def to(self, address: str) -> list[EmailMessage]:
        """Return what came for address."""
        return [mail for mail in self.mails if mail["To"] == address]


@contextmanager
def smtp_server(mailbox: Mailbox, port: int = 0, **options: Any) -> Iterator[int]:
    """Serve mailbox on loopback; yield the port."""
    port = port or free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(_hang_up(mailbox), controller.loop).result()
        controller.stop()


async def _hang_up(mailbox: Mailbox) -> None:
    """Close what aiosmtpd leaves open when it stops."""
    for transport in mailbox.transports:
        transport.abort()
    await asyncio.sleep(0.01)


@contextmanager
def silent_server() -> Iterator[int]:
    """Take connections and say nothing, ever; yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def text_of(mail: EmailMessage) -> str:
    return mail.get_body(("plain",)).get_content()


def html_of(mail: EmailMessage) -> str:
    return mail.get_body(("html",)).get_content()


def token_in(mail: EmailMessage) -> str:
    """Return the reset token of the link in a mail."""
    return re.search(r"/reset/(\S+)", text_of(mail))[1]
