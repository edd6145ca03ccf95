"""The time of a response does not reveal who has an account, however the mail server behaves.

Slow because each comparison takes hundreds of requests.
"""

import socket
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest

from tests.support import load_generator
from tests.support.client import EVE
from tests.support.processes import free_port
from tests.support.smtp_server import Mailbox, silent_server, smtp_server
from tests.support.timing import is_even, is_even_login

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@contextmanager
def slow_server():
    mailbox = Mailbox()
    mailbox.seconds_a_mail = 3
    with smtp_server(mailbox) as port:
        yield port


MAIL_SERVERS = {
    "fast": lambda: smtp_server(Mailbox()),
    "3 s per email": slow_server,
    "silent": silent_server,
    "down": lambda: nullcontext(free_port()),
}
EACH_MAIL_SERVER = pytest.mark.parametrize(
    "mail_server", MAIL_SERVERS.values(), ids=MAIL_SERVERS.keys()
)


class TestForgotPassword:
    @EACH_MAIL_SERVER
    def test_known_and_unknown_email_take_one_time(self, make_app, http, mail_server):
        with mail_server() as port:
            http.app = make_app(MAIL_PORT=port, MAIL_TIMEOUT=1)
            http.sign_up()
            assert is_even(http.forgot, partial(http.forgot, EVE["email"]))
            http.app.extensions["worker"].stop()

    def test_response_does_not_wait_for_the_mail_server(self, make_app, http):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            http.app = make_app(MAIL_PORT=listener.getsockname()[1], MAIL_TIMEOUT=12)
            http.sign_up()
            http.forgot()
            listener.settimeout(30)
            with listener.accept()[0] as connection:
                assert http.forgot().status_code == 200
                # What has connected is still waiting for the server's first line.
                connection.setblocking(False)
                with pytest.raises(BlockingIOError):
                    connection.recv(1)


class TestLogin:
    def test_known_and_unknown_email_take_one_time(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=10)
        http.sign_up()
        assert is_even_login(*wrong_logins(http))

    def test_they_do_while_other_clients_log_in(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=7)
        http.sign_up()
        others = load_generator.start(http.port, 6)
        try:
            assert is_even_login(*wrong_logins(http))
        finally:
            others.kill()
            others.wait()


def wrong_logins(http):
    """Return what logs in with a known and with an unknown email."""
    wrong = partial(http.log_in, password="wrong")
    return wrong, partial(wrong, email=EVE["email"])
