"""Requests with a deadline: no server holds a thread beyond it."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from urllib.request import build_opener

import pytest

from infra import http_client
from infra.http_client import HTTP_ERRORS, Client, Request, name_of
from tests.support.concurrency import wait_until
from tests.support.scripted_server import ScriptedServer
from tests.support.smtp_server import CERTIFICATE

DEADLINE_SECONDS = 1.0


@pytest.fixture
def dripping(monkeypatch):
    """Return the URL of a TLS server that sends a head byte by byte, and the clients that left."""
    left, stopped = [], threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    trusting = http_client._HttpsHandler(context=ssl.create_default_context(cafile=CERTIFICATE))
    monkeypatch.setattr(http_client, "_opener", build_opener(trusting))
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection = context.wrap_socket(listener.accept()[0], server_side=True)
        with connection, suppress(OSError):
            while not stopped.wait(0.02):
                connection.sendall(b"H")
            return
        left.append(connection)

    thread = threading.Thread(target=drip)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}/", left
    stopped.set()
    thread.join()
    listener.close()


def test_tls_byte_by_byte_ends_at_the_deadline(dripping):
    url, left = dripping
    with pytest.raises(TimeoutError):
        Client("test", 1).send(Request(url), DEADLINE_SECONDS, lambda response: response.status)
    wait_until(lambda: left, seconds=10)


def test_connection_that_opens_after_the_deadline_is_closed():
    server = ScriptedServer()
    server.handler = server.hold
    with server.run():
        request = Request(f"http://127.0.0.1:{server.server.server_port}/")
        request.abort()
        with pytest.raises(HTTP_ERRORS) as failure:
            Client("test", 1).send(request, 10, lambda response: response.status)
        server.released.set()
    assert name_of(failure.value) != "TimeoutError"


ASK = """
import sys
from infra.http_client import Client, Request
print(Client("test", 1).send(Request(sys.argv[1]), 10, lambda response: response.status))
"""


def test_proxy_of_the_environment_reads_no_plain_http():
    server = ScriptedServer()
    with server.run():
        url = f"http://127.0.0.1:{server.server.server_port}/"
        # Nobody listens at that port.
        environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        asked = subprocess.run(
            [sys.executable, "-c", ASK, url], env=environment, capture_output=True, text=True
        )
    assert asked.stdout == "200\n", asked.stderr


def test_address_that_does_not_respond_leaves_time_for_another(monkeypatch):
    server, silent = ScriptedServer(), socket.create_server(("127.0.0.1", 0), backlog=0)
    with server.run(), silent, socket.create_connection(silent.getsockname()):  # its queue is full
        good, getaddrinfo = server.server.server_address, socket.getaddrinfo
        found = [(*getaddrinfo(*good)[0][:4], it) for it in (silent.getsockname(), good)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        request = Request("http://hooks.example.com/")
        assert Client("test", 1).send(request, 2, lambda response: response.status) == 200
