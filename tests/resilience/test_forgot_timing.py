"""The time of a response does not reveal who has an account, however the mail server behaves.

Slow because each comparison takes hundreds of requests; "loaded" is with other clients at work.
"""

from contextlib import contextmanager, nullcontext
from functools import partial
from statistics import quantiles

import pytest

from tests.support import load_generator
from tests.support.client import EVE
from tests.support.processes import free_port
from tests.support.smtp_server import Mailbox, silent_server, smtp_server
from tests.support.timing import PAIRS, is_even, is_even_login

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


def percentile_95(times):
    return quantiles(times, n=20)[-1]


class TestForgotPassword:
    @EACH_MAIL_SERVER
    def test_known_and_unknown_email_take_one_time(self, make_app, http, mail_server):
        with mail_server() as port:
            http.app = make_app(MAIL_PORT=port, MAIL_TIMEOUT=1)
            http.sign_up()
            assert is_even(http.forgot, partial(http.forgot, EVE["email"]))
            http.app.extensions["worker"].stop()

    @EACH_MAIL_SERVER
    def test_response_never_waits_for_the_mail_server(self, make_app, http, mail_server):
        """Compare with a read of the database, taken in turn: the load of the machine cancels."""
        with mail_server() as port:
            http.app = make_app(MAIL_PORT=port, MAIL_TIMEOUT=1)
            http.sign_up()
            forgot, movies = [], []
            for _ in range(PAIRS):
                forgot.append(http.forgot().elapsed.total_seconds())
                movies.append(http.get("/api/movies").elapsed.total_seconds())
            assert percentile_95(forgot) < 10 * percentile_95(movies)
            http.app.extensions["worker"].stop()


class TestLogin:
    def test_known_and_unknown_email_take_one_time(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=10)
        http.sign_up()
        assert is_even_login(*wrong_logins(http))

    def test_they_do_while_other_clients_log_in(self, make_app, http):
        http.app = make_app(BCRYPT_LOG_ROUNDS=7)
        http.sign_up()
        others = load_generator.start(http.port, 6, 60, load_generator.login)
        try:
            assert is_even_login(*wrong_logins(http))
        finally:
            others.kill()
            others.communicate()


def wrong_logins(http):
    """Return what logs in with a known and with an unknown email."""
    wrong = partial(http.log_in, password="wrong")
    return wrong, partial(wrong, email=EVE["email"])
