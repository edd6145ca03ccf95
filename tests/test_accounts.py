"""Signing up, logging in, refreshing, logging out."""

import pytest

from database.models import User
from services.session_service import MAX_SESSIONS
from tests.conftest import ADA, at_once


def test_signup_answers_with_the_id_of_the_new_user(api):
    answer = api.sign_up()
    assert answer.status_code == 200
    assert answer.json()["id"] == str(User.objects.get(email=ADA["email"]).id)


def test_an_address_signs_up_once_however_it_is_written(api):
    api.sign_up(email="ada@example.com")
    answer = api.sign_up(email="  ADA@Example.COM ")
    assert answer.status_code == 400
    assert answer.json()["error"] == "EmailAlreadyExistsError"
    assert answer.json()["message"] == "User with given email address already exists"


def test_of_24_simultaneous_signups_with_one_address_exactly_one_wins(api):
    statuses = at_once(24, lambda _: api.sign_up().status_code)
    assert sorted(statuses) == [200] + [400] * 23
    assert len(User.objects(email=ADA["email"])) == 1


def test_a_non_ascii_domain_becomes_idna(api):
    api.sign_up(email="ada@bücher.example")
    assert User.objects.get().email == "ada@xn--bcher-kva.example"
    assert api.log_in(email="ADA@BÜCHER.example").status_code == 200


@pytest.mark.parametrize("email", ["2012-05-05@example.com", "1917@example.com", "true@x.example"])
def test_an_address_that_looks_like_something_else_is_an_address(api, mailbox, email):
    api.sign_up(email=email)
    assert api.sign_up(email=email).json()["error"] == "EmailAlreadyExistsError"
    token = api.log_in(email=email).json()["token"]
    api.forgot(email)
    assert mailbox.wait_for(1)[0]["To"] == email
    body = {"current_password": ADA["password"]}
    assert api.delete("/api/users/me", json=body, token=token).status_code == 200
    assert api.log_in(email=email).status_code == 401


def test_login_answers_with_a_pair_of_tokens_that_no_cache_keeps(api):
    api.sign_up()
    answer = api.log_in()
    body = answer.json()
    assert body.keys() == {"token", "refresh_token", "token_type", "expires_in", "email"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["email"] == ADA["email"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unknown_address_and_a_wrong_password_are_one_answer(api):
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


@pytest.mark.parametrize(
    "password",
    [
        "gk2#vT9x",
        "x7!Kq" * 14 + "ab",
        "x7!Kq" * 14 + "abc",
        "x7!Kq" * 25 + "abc",
        "🐎🔋📎✅🐎🦀🍋🧲",
        "nul\0in the middle",
        "ﬁne ligatures are one",
    ],
    ids=["8", "72", "73", "128", "emoji", "NUL", "NFKC"],
)
def test_a_password_of_any_characters_logs_in(api, password):
    assert api.sign_up(password=password).status_code == 200
    assert api.log_in(password=password).status_code == 200
    assert api.log_in(password=password[:-1]).status_code == 401


def test_a_password_is_never_truncated(api):
    password = "x7!Kq" * 25
    api.sign_up(password=password)
    assert api.log_in(password=password[:72]).status_code == 401
    assert api.log_in(password=password + "x").status_code == 401
    assert api.log_in(password=password * 100).status_code == 401


def test_a_character_is_one_however_it_is_typed(api):
    api.sign_up(password="caf\u00e9 au lait noir")
    assert api.log_in(password="cafe\u0301 au lait noir").status_code == 200


def test_a_nul_is_a_character_like_any_other(api):
    api.sign_up(password="x7!Kq\0x7!Kq")
    assert api.log_in(password="x7!Kq").status_code == 401
    assert api.log_in(password="x7!Kq\0x7!Kq").status_code == 200


def test_a_hash_made_by_plain_flask_bcrypt_logs_in(api):
    from flask_bcrypt import generate_password_hash

    api.sign_up()
    plain = generate_password_hash("the tutorial's", 4).decode()
    User.objects.update(set__password=plain)
    assert api.log_in(password="the tutorial's").status_code == 200


def test_verify_says_whose_token_it_is(api, ada):
    body = api.whoami(ada["token"]).json()
    assert body.keys() == {"id", "email", "expires_in", "message"}
    assert body["id"] == str(User.objects.get().id)
    assert body["email"] == ADA["email"]
    assert 890 < body["expires_in"] <= 900


def test_refresh_answers_with_the_next_pair_and_the_old_one_is_dead(make_app, http):
    http.app = make_app(JWT_REFRESH_GRACE=0)
    http.sign_up()
    old = http.log_in().json()
    answer = http.refresh(old["refresh_token"])
    new = answer.json()
    assert new.keys() == old.keys()
    assert answer.headers["Cache-Control"] == "no-store"
    assert http.whoami(new["token"]).status_code == 200
    assert http.whoami(old["token"]).json()["error"] == "BadTokenError"
    assert http.refresh(old["refresh_token"]).status_code == 401


def test_of_16_simultaneous_refreshes_within_the_grace_all_get_living_tokens(api, ada):
    answers = at_once(16, lambda _: api.refresh(ada["refresh_token"]))
    assert [answer.status_code for answer in answers] == [200] * 16
    for answer in answers:
        assert api.whoami(answer.json()["token"]).status_code == 200
    assert api.refresh(answers[7].json()["refresh_token"]).status_code == 200


def test_within_the_grace_a_token_rotated_twice_since_still_gets_the_current_pair(api, ada, clock):
    clock.shift(60)
    second = api.refresh(ada["refresh_token"]).json()
    third = api.refresh(second["refresh_token"]).json()
    clock.shift(9)
    again = api.refresh(ada["refresh_token"]).json()
    assert api.whoami(again["token"]).status_code == 200
    assert api.whoami(third["token"]).status_code == 200


def test_without_grace_one_of_16_simultaneous_refreshes_gets_tokens(make_app, http):
    http.app = make_app(JWT_REFRESH_GRACE=0)
    http.sign_up()
    token = http.log_in().json()["refresh_token"]
    statuses = at_once(16, lambda _: http.refresh(token).status_code)
    assert sorted(statuses) == [200] + [401] * 15


def test_without_grace_a_clock_that_lags_behind_another_machine_opens_none(make_app, http, clock):
    http.app = make_app(JWT_REFRESH_GRACE=0)
    http.sign_up()
    token = http.log_in().json()["refresh_token"]
    clock.shift(60)
    http.refresh(token)
    clock.shift(-1)
    assert http.refresh(token).status_code == 401


def test_a_session_older_than_its_greatest_age_is_not_refreshed(make_app, http, clock):
    http.app = make_app()
    http.sign_up()
    token = http.log_in().json()["refresh_token"]
    clock.shift(1000)
    http.app = make_app(JWT_SESSION_MAX_AGE=1000)
    assert http.refresh(token).json()["error"] == "ExpiredTokenError"


@pytest.mark.parametrize(("seconds", "status"), [(9, 200), (11, 401)])
def test_the_grace_ends_10_seconds_after_the_rotation(api, ada, clock, seconds, status):
    clock.shift(60)
    api.refresh(ada["refresh_token"])
    clock.shift(seconds)
    assert api.refresh(ada["refresh_token"]).status_code == status


def test_a_replay_beyond_the_grace_ends_the_session(api, ada, clock):
    new = api.refresh(ada["refresh_token"]).json()
    clock.shift(11)
    assert api.refresh(ada["refresh_token"]).json()["error"] == "BadTokenError"
    assert api.whoami(new["token"]).status_code == 401
    assert api.refresh(new["refresh_token"]).status_code == 401


def test_a_replay_leaves_the_users_other_sessions_alone(api, ada, clock):
    other = api.log_in().json()
    api.refresh(ada["refresh_token"])
    clock.shift(11)
    api.refresh(ada["refresh_token"])
    assert api.whoami(other["token"]).status_code == 200


@pytest.mark.parametrize("which", ["token", "refresh_token"])
def test_logout_with_either_token_ends_both(api, ada, which):
    other = api.log_in().json()
    assert api.delete("/api/auth/logout", token=ada[which]).status_code == 200
    assert api.whoami(ada["token"]).status_code == 401
    assert api.refresh(ada["refresh_token"]).status_code == 401
    assert api.delete("/api/auth/logout", token=ada[which]).status_code == 401
    assert api.whoami(other["token"]).status_code == 200


def test_a_user_keeps_the_20_newest_sessions(api, ada):
    tokens = [api.log_in().json()["token"] for _ in range(MAX_SESSIONS + 2)]
    assert len(User.objects.get().sessions) == MAX_SESSIONS
    assert api.whoami(ada["token"]).status_code == 401
    assert [api.whoami(token).status_code for token in tokens[2:]] == [200] * MAX_SESSIONS


def test_expired_sessions_leave_with_the_next_login(api, ada, clock):
    clock.shift(2592000 + 1)
    api.log_in()
    assert len(User.objects.get().sessions) == 1


def test_a_session_lives_on_by_refreshes_until_its_greatest_age(make_app, http, clock):
    http.app = make_app(JWT_REFRESH_TOKEN_EXPIRES=1000, JWT_SESSION_MAX_AGE=2500)
    http.sign_up()
    tokens = http.log_in().json()
    for _ in range(2):
        clock.shift(999)
        tokens = http.refresh(tokens["refresh_token"]).json()
    assert tokens["expires_in"] == 502
    clock.shift(501)
    assert http.whoami(tokens["token"]).status_code == 200
    clock.shift(2)
    assert http.whoami(tokens["token"]).json()["error"] == "ExpiredTokenError"
    assert http.refresh(tokens["refresh_token"]).json()["error"] == "ExpiredTokenError"


def test_a_login_that_a_reset_overtakes_opens_no_session(app, api, ada):
    from services import session_service
    from services.errors import UnauthorizedError

    as_checked = User.objects.get()
    User.objects.update(inc__password_version=1)
    with app.app_context(), pytest.raises(UnauthorizedError):
        session_service.begin(as_checked, "")
