"""Logging in: the response, the passwords that are accepted, and the sessions that are kept."""

import base64
import hashlib
import hmac
import time
from statistics import median

import pytest
from flask_bcrypt import check_password_hash, generate_password_hash

from database.models import User
from infra import password_hashing
from services import session_service
from services.errors import UnauthorizedError
from services.session_service import BY_PASSWORD, MAX_SESSIONS
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously

PASSWORDS = {
    "8 characters": "gk2#vT9x",
    "72 bytes": "x7!Kq" * 14 + "ab",
    "73 bytes": "x7!Kq" * 14 + "abc",
    "128 characters": "x7!Kq" * 25 + "abc",
    "emoji": "🐎🔋📎✅🐎🦀🍋🧲",
    "NUL": "nul\0in the middle",
    "NFKC": "ﬁne ligatures are one",
}


DIGESTED = ("73 bytes", "128 characters", "NUL")
EACH_DIGESTED = pytest.mark.parametrize(
    "password", [PASSWORDS[name] for name in DIGESTED], ids=DIGESTED
)


def sha256_prehash(password):
    """Return what an earlier version hashed in place of a password that bcrypt can't tell apart."""
    return base64.b64encode(hashlib.sha256(password.encode()).digest()).decode()


def store_hash(text):
    """Store the bcrypt hash of a text, as an earlier version did."""
    User.objects.update(set__password=generate_password_hash(text, 4).decode())


class TestLogin:
    def test_response_is_a_pair_of_tokens_not_to_be_stored(self, api):
        api.sign_up()
        response = api.log_in()
        body = response.json()
        assert body.keys() == {"token", "refresh_token", "token_type", "expires_in", "email"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
        assert body["email"] == ADA["email"]
        assert response.headers["Cache-Control"] == "no-store"

    def test_unknown_email_and_wrong_password_get_one_response(self, api):
        api.sign_up()
        wrong, unknown = api.log_in(password="wrong"), api.log_in(email="eve@example.com")
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.content == unknown.content
        assert wrong.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"] == "Bearer"
        assert wrong.json() == {
            "message": "Invalid username or password",
            "status": 401,
            "error": "UnauthorizedError",
        }

    def test_password_reset_during_login_creates_no_session(self, app, api, ada):
        as_verified = User.objects.get()
        User.objects.update(inc__password_version=1)
        with app.app_context(), pytest.raises(UnauthorizedError):
            session_service.create(as_verified, "", BY_PASSWORD)
        assert len(User.objects.get().sessions) == 1


class TestPassword:
    @pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
    def test_any_characters_are_accepted(self, api, password):
        assert api.sign_up(password=password).status_code == 200
        assert api.log_in(password=password).status_code == 200
        assert api.log_in(password=password[:-1]).status_code == 401

    def test_long_password_is_never_truncated(self, api):
        password = "x7!Kq" * 25
        api.sign_up(password=password)
        assert api.log_in(password=password[:72]).status_code == 401
        assert api.log_in(password=password + "x").status_code == 401
        assert api.log_in(password=password * 8).status_code == 401

    def test_character_is_one_however_it_is_typed(self, api):
        api.sign_up(password="caf\u00e9 au lait noir")
        assert api.log_in(password="cafe\u0301 au lait noir").status_code == 200

    def test_nul_is_a_character_like_any_other(self, api):
        api.sign_up(password="x7!Kq\0x7!Kq")
        assert api.log_in(password="x7!Kq").status_code == 401
        assert api.log_in(password="x7!Kq\0x7!Kq").status_code == 200


class TestPrehash:
    """What is hashed in place of a long password is no password itself."""

    @EACH_DIGESTED
    def test_no_digest_of_the_password_logs_in(self, api, password):
        api.sign_up(password=password)
        secret = password.encode()
        digests = [
            hashlib.sha256(secret).digest(),
            hmac.digest(password_hashing.HMAC_KEY, secret, "sha256"),
        ]
        for digest in digests:
            for typed in (base64.b64encode(digest).decode(), digest.hex()):
                assert api.log_in(password=typed).status_code == 401
                assert api.log_in(password=f"\xff{typed}").status_code == 401
        assert api.log_in(password=password).status_code == 200

    @EACH_DIGESTED
    def test_password_that_is_a_digest_is_not_what_it_digests(self, api, password):
        digest = sha256_prehash(password)
        api.sign_up(password=digest)
        assert api.log_in(password=password).status_code == 401
        assert api.log_in(password=digest).status_code == 200


class TestHashOfEarlierVersion:
    """Its prehash is SHA-256 in base64, and itself a password until it is replaced at login."""

    @EACH_DIGESTED
    def test_hash_is_replaced_at_login(self, api, password):
        api.sign_up()
        store_hash(sha256_prehash(password))
        assert api.log_in(password=password + "x").status_code == 401
        assert api.log_in(password=password).status_code == 200
        assert api.log_in(password=password).status_code == 200
        assert api.log_in(password=sha256_prehash(password)).status_code == 401

    @EACH_DIGESTED
    def test_login_with_the_digest_does_not_make_it_the_password(self, api, password):
        api.sign_up()
        store_hash(sha256_prehash(password))
        before = User.objects.get().password
        api.log_in(password=sha256_prehash(password))
        assert User.objects.get().password == before
        assert api.log_in(password=password).status_code == 200
        assert api.log_in(password=sha256_prehash(password)).status_code == 401

    def test_password_that_looks_like_a_digest_still_works(self, api):
        api.sign_up()
        store_hash(sha256_prehash("whatever"))
        for _ in range(2):
            assert api.log_in(password=sha256_prehash("whatever")).status_code == 200

    def test_hash_of_a_short_password_stays(self, api):
        api.sign_up()
        store_hash(ADA["password"])
        before = User.objects.get().password
        assert api.log_in().status_code == 200
        assert User.objects.get().password == before

    def test_new_hash_of_a_short_password_is_as_before(self, api):
        api.sign_up()
        assert check_password_hash(User.objects.get().password, ADA["password"])


class TestOldHash:
    def test_hash_of_plain_flask_bcrypt_is_accepted(self, api):
        api.sign_up()
        plain = generate_password_hash("the tutorial's", 4).decode()
        User.objects.update(set__password=plain)
        assert api.log_in(password="the tutorial's").status_code == 200

    def test_hash_of_fewer_rounds_is_replaced_at_login(self, make_app, http):
        http.app = make_app()
        http.sign_up()
        before = http.log_in().json()
        http.app = make_app(BCRYPT_LOG_ROUNDS=6)
        assert http.log_in(password="wrong").status_code == 401
        assert User.objects.get().password.startswith("$2b$04$")
        assert http.log_in().status_code == 200
        assert User.objects.get().password.startswith("$2b$06$")
        assert http.log_in().status_code == 200
        assert http.verify(before["token"]).status_code == 200

    def test_hash_of_fewer_rounds_costs_what_an_unknown_email_does(self, make_app, http):
        http.app = make_app()
        http.sign_up()
        http.app = make_app(BCRYPT_LOG_ROUNDS=9)
        times = {ADA["email"]: [], EVE["email"]: []}
        for _ in range(10):
            for email, seconds in times.items():
                begin = time.process_time()
                http.log_in(email=email, password="wrong")
                seconds.append(time.process_time() - begin)
        assert 0.67 < median(times[ADA["email"]]) / median(times[EVE["email"]]) < 1.5


class TestSessionLimit:
    def test_user_keeps_the_20_newest_sessions(self, api, ada):
        tokens = [api.log_in().json()["token"] for _ in range(MAX_SESSIONS + 2)]
        assert len(User.objects.get().sessions) == MAX_SESSIONS
        assert api.verify(ada["token"]).status_code == 401
        assert [api.verify(token).status_code for token in tokens[2:]] == [200] * MAX_SESSIONS

    def test_login_removes_expired_sessions(self, api, ada, clock):
        clock.shift(2592000 + 1)
        api.log_in()
        assert len(User.objects.get().sessions) == 1

    def test_100_simultaneous_logins_keep_20_sessions(self, api, ada):
        for _ in range(4):
            tokens = run_simultaneously(25, lambda _: api.log_in().json())
        stored = User.objects.get()
        assert len(stored.sessions) == MAX_SESSIONS
        assert stored.logins == 101
        last = api.log_in().json()
        assert api.verify(last["token"]).status_code == 200
        active = [pair for pair in tokens if api.verify(pair["token"]).status_code == 200]
        assert len(active) == MAX_SESSIONS - 1
