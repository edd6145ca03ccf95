"""Sessions to see and end, passwords to change, and what the log tells of both."""

import re

import bson
import pytest
from flask_bcrypt import generate_password_hash

from database.models import User
from services import password_service, token_service
from services.session_service import MAX_SESSIONS
from tests.conftest import ADA, NEW_PASSWORD, at_once
from tests.smtp import text_of, token_in

EVE = {"email": "eve@example.com", "password": "apple horse battery"}
ROUNDS = 50


def sessions(api, tokens):
    return api.get("/api/auth/sessions", token=tokens["token"]).json()


def change(api, tokens, current=ADA["password"], new=NEW_PASSWORD, **more):
    body = {"current_password": current, "password": new} | more
    return api.put("/api/auth/password", json=body, token=tokens["token"])


@pytest.fixture
def eve(api):
    """Sign Eve up and log her in; return her tokens."""
    api.sign_up(**EVE)
    return api.log_in(**EVE).json()


def test_the_list_shows_where_a_user_is_logged_in_the_newest_first(api, ada, clock):
    clock.shift(60)
    agent = {"User-Agent": "A phone " + "x" * 500}
    phone = api.post("/api/auth/login", json=ADA, headers=agent).json()
    clock.shift(60)
    listed = sessions(api, ada)
    assert [session["current"] for session in listed] == [False, True]
    assert listed[0]["user_agent"] == agent["User-Agent"][:200]
    assert [session["current"] for session in sessions(api, phone)] == [True, False]
    for session in listed:
        assert session.keys() == {"id", "created_at", "last_used_at", "user_agent", "current"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", session["created_at"])
    assert listed[0]["created_at"] > listed[1]["created_at"]


def test_the_list_never_shows_a_token(api, ada):
    answer = api.get("/api/auth/sessions", token=ada["token"]).text
    assert "eyJ" not in answer
    assert "generation" not in answer


def test_a_session_is_last_used_at_its_refresh_and_not_at_a_request(api, ada, clock):
    begin = sessions(api, ada)[0]
    clock.shift(60)
    api.whoami(ada["token"])
    assert sessions(api, ada)[0]["last_used_at"] == begin["last_used_at"]
    new = api.refresh(ada["refresh_token"]).json()
    session = sessions(api, new)[0]
    assert session["last_used_at"] > begin["last_used_at"]
    assert session["created_at"] == begin["created_at"]


def test_sessions_whose_time_is_over_are_not_listed(api, ada, clock):
    clock.shift(2592000 - 60)
    new = api.log_in().json()
    clock.shift(61)
    assert [session["current"] for session in sessions(api, new)] == [True]


def test_ending_a_session_ends_that_one(api, ada):
    other = api.log_in().json()
    (session_id,) = (each["id"] for each in sessions(api, ada) if not each["current"])
    path = f"/api/auth/sessions/{session_id}"
    assert api.delete(path, token=ada["token"]).status_code == 200
    assert api.whoami(other["token"]).status_code == 401
    assert api.refresh(other["refresh_token"]).status_code == 401
    assert api.whoami(ada["token"]).status_code == 200
    assert api.delete(path, token=ada["token"]).json()["error"] == "SessionNotExistsError"


def test_ending_all_sessions_ends_this_one_too(api, ada, eve):
    other = api.log_in().json()
    assert api.delete("/api/auth/sessions", token=ada["token"]).status_code == 200
    assert [api.whoami(tokens["token"]).status_code for tokens in (ada, other)] == [401, 401]
    assert api.whoami(eve["token"]).status_code == 200


@pytest.mark.parametrize("tail", ["", ".generation", ".rotated", "%2e", "%00"])
def test_nobody_ends_anothers_session(api, ada, eve, tail):
    session_id = sessions(api, ada)[0]["id"]
    answer = api.delete(f"/api/auth/sessions/{session_id}{tail}", token=eve["token"])
    assert answer.status_code == 404
    assert answer.json()["message"] == "Session with given id doesn't exist"
    assert api.whoami(ada["token"]).status_code == 200
    assert len(sessions(api, eve)) == 1


def test_a_path_into_a_session_ends_nothing(api, ada):
    session_id = sessions(api, ada)[0]["id"]
    answer = api.delete(f"/api/auth/sessions/{session_id}.generation", token=ada["token"])
    assert answer.status_code == 404
    assert api.whoami(ada["token"]).status_code == 200


def test_after_a_hundred_logins_at_once_20_sessions_are_kept_and_the_newest_live(api, ada):
    for _ in range(4):
        tokens = at_once(25, lambda _: api.log_in().json())
    stored = User.objects.get()
    assert len(stored.sessions) == MAX_SESSIONS
    assert stored.logins == 101
    last = api.log_in().json()
    assert api.whoami(last["token"]).status_code == 200
    living = [pair for pair in tokens if api.whoami(pair["token"]).status_code == 200]
    assert len(living) == MAX_SESSIONS - 1


def test_a_document_full_of_sessions_stays_under_32_kib(api, ada):
    agent = {"User-Agent": "x" * 1000}
    for _ in range(MAX_SESSIONS + 1):
        tokens = api.post("/api/auth/login", json=ADA, headers=agent).json()
        for _ in range(10):
            tokens = api.refresh(tokens["refresh_token"]).json()
    assert len(bson.encode(User.objects.get().to_mongo())) < 32 * 1024


def test_a_password_change_ends_other_sessions_and_this_one_lives(api, ada, mailbox):
    other = api.log_in().json()
    assert change(api, ada).status_code == 200
    assert api.whoami(ada["token"]).status_code == 200
    assert api.refresh(ada["refresh_token"]).status_code == 200
    assert api.whoami(other["token"]).status_code == 401
    assert api.refresh(other["refresh_token"]).status_code == 401
    assert api.log_in().status_code == 401
    assert api.log_in(password=NEW_PASSWORD).status_code == 200
    assert "was just changed" in text_of(mailbox.wait_for(1)[0])


def test_a_password_change_kills_outstanding_reset_links(api, ada, reset_link):
    change(api, ada)
    assert api.reset(reset_link).json()["error"] == "UsedTokenError"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"current": "wrong"}, "current_password"),
        ({"new": "password1"}, "password"),
        ({"new": ADA["email"]}, "password"),
        ({"password_confirmation": "another"}, "password_confirmation"),
        ({"role": "admin"}, "role"),
    ],
    ids=["wrong current", "weak", "address", "differs", "unknown field"],
)
def test_a_change_that_is_refused_changes_nothing(api, ada, mailbox, fields, field):
    answer = change(api, ada, **fields)
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {field}
    assert api.log_in().status_code == 200
    assert User.objects.get().password_version == 0


def test_of_16_simultaneous_changes_one_wins_and_the_others_get_a_clear_error(api, ada):
    answers = at_once(16, lambda number: change(api, ada, new=f"{NEW_PASSWORD} {number}"))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
    for number, answer in enumerate(answers):
        if answer.status_code == 200:
            assert api.log_in(password=f"{NEW_PASSWORD} {number}").status_code == 200
        else:
            assert answer.json()["errors"].keys() == {"current_password"}
    assert User.objects.get().password_version == 1
    assert api.whoami(ada["token"]).status_code == 200


def test_a_change_that_a_refresh_overtakes_does_not_undo_it(api, ada):
    for _ in range(10):
        before = User.objects.get().password_version
        tokens = api.log_in().json()
        refreshed, changed = at_once(
            2,
            lambda number, tokens=tokens: (
                change(api, tokens, new=ADA["password"])
                if number
                else api.refresh(tokens["refresh_token"])
            ),
        )
        assert refreshed.status_code == 200
        assert changed.status_code in (200, 401)
        assert User.objects.get().password_version - before == (changed.status_code == 200)
        assert api.whoami(refreshed.json()["token"]).status_code == 200


def test_a_change_whose_session_is_refreshed_while_it_hashes_changes_nothing(api, ada, monkeypatch):
    refreshed, hash_password = [], password_service.hash_password

    def slow(password):
        refreshed.append(api.refresh(ada["refresh_token"]).json())
        return hash_password(password)

    monkeypatch.setattr(password_service, "hash_password", slow)
    assert change(api, ada).json()["error"] == "BadTokenError"
    assert api.whoami(refreshed[0]["token"]).status_code == 200
    assert User.objects.get().password_version == 0


def test_a_deletion_whose_password_is_changed_while_it_checks_deletes_nothing(
    api, ada, monkeypatch
):
    check_current = password_service.check_current

    def slow(user, password):
        check_current(user, password)
        User.objects.update(inc__password_version=1)

    monkeypatch.setattr(password_service, "check_current", slow)
    body = {"current_password": ADA["password"]}
    answer = api.delete("/api/users/me", json=body, token=ada["token"])
    assert answer.json()["error"] == "BadTokenError"
    assert User.objects.get().email == ADA["email"]


@pytest.mark.parametrize("ending", ["reset", "change"])
@pytest.mark.parametrize("racer", ["login", "refresh"])
def test_no_token_of_another_session_survives_a_race_with(app, api, racer, ending):
    for number in range(ROUNDS):
        user = {"email": f"user{number}@example.com", "password": ADA["password"]}
        api.sign_up(**user)
        this, other = api.log_in(**user).json(), api.log_in(**user).json()
        with app.app_context():
            reset_token = token_service.reset_token(User.objects.get(email=user["email"]))
        end = {"reset": lambda t=reset_token: api.reset(t), "change": lambda t=this: change(api, t)}
        race = {
            "login": lambda u=user: api.log_in(**u),
            "refresh": lambda t=other: api.refresh(t["refresh_token"]),
        }
        pair = (race[racer], end[ending])
        raced, ended = at_once(2, lambda index, pair=pair: pair[index]())
        assert ended.status_code == 200
        if raced.status_code == 200:
            assert api.whoami(raced.json()["token"]).status_code == 401
            assert api.refresh(raced.json()["refresh_token"]).status_code == 401


def test_a_hash_of_fewer_rounds_is_replaced_at_login_and_sessions_live_on(make_app, http):
    http.app = make_app()
    http.sign_up()
    before = http.log_in().json()
    http.app = make_app(BCRYPT_LOG_ROUNDS=6)
    assert http.log_in(password="wrong").status_code == 401
    assert User.objects.get().password.startswith("$2b$04$")
    assert http.log_in().status_code == 200
    assert User.objects.get().password.startswith("$2b$06$")
    assert http.log_in().status_code == 200
    assert http.whoami(before["token"]).status_code == 200


def test_a_hash_made_by_the_tutorial_is_replaced_too(api):
    api.sign_up()
    User.objects.update(set__password=generate_password_hash("the tutorial's", 4).decode())
    assert api.log_in(password="the tutorial's").status_code == 200


def test_an_older_hash_takes_as_long_to_check_as_a_new_one(make_app, http):
    http.app = make_app()
    http.sign_up()
    http.app = make_app(BCRYPT_LOG_ROUNDS=10)
    times = {ADA["email"]: [], EVE["email"]: []}
    for _ in range(10):
        for email, seconds in times.items():
            answer = http.log_in(email=email, password="wrong")
            seconds.append(answer.elapsed.total_seconds())
    known, unknown = (sorted(seconds)[5] for seconds in times.values())
    assert 0.67 < known / unknown < 1.5


def events(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "services.audit"]


def test_a_wrong_current_password_and_an_admin_who_acts_on_another_are_in_the_log(api, ada, caplog):
    caplog.set_level("INFO")
    User.objects.update(set__role="admin")
    change(api, ada, current="wrong")
    root, body = User.objects.get(), EVE | {"role": "admin"}
    eve_id = api.post("/api/users", json=body, token=ada["token"]).json()["id"]
    api.patch(f"/api/users/{eve_id}", json={"role": "user"}, token=ada["token"])
    api.delete(f"/api/users/{eve_id}", token=ada["token"])
    assert events(caplog) == [
        f"event=password_refused user={root.id} ip=127.0.0.1",
        f"event=signup user={eve_id} by={root.id} ip=127.0.0.1",
        f"event=role_changed_to_user user={eve_id} by={root.id} ip=127.0.0.1",
        f"event=deleted user={eve_id} by={root.id} ip=127.0.0.1",
    ]


def test_every_security_event_leaves_one_line_without_address_or_secret(
    api, mailbox, clock, caplog
):
    caplog.set_level("INFO")
    api.sign_up()
    user = User.objects.get()
    api.log_in(password="a wrong one")
    api.log_in(email="stranger@example.com")
    api.forgot("stranger@example.com")
    tokens = api.log_in().json()
    new = api.refresh(tokens["refresh_token"]).json()
    clock.shift(60)
    api.refresh(tokens["refresh_token"])
    api.delete("/api/auth/logout", token=api.log_in().json()["token"])
    change(api, api.log_in().json())
    api.forgot()
    clock.shift(1)
    api.reset(token_in(mailbox.wait_for(2)[-1]))
    last = api.log_in(password=NEW_PASSWORD).json()["token"]
    api.delete("/api/users/me", json={"current_password": NEW_PASSWORD}, token=last)
    lines = events(caplog)
    expected = [
        *("signup", "login_failed", "login_failed", "forgot", "login", "refresh_replayed"),
        *("login", "logout", "login", "password_changed", "forgot"),
    ]
    assert [line.split()[0] for line in lines][: len(expected)] == [f"event={e}" for e in expected]
    assert lines[-1] == f"event=deleted user={user.id} ip=127.0.0.1"
    assert lines[4] == f"event=login user={user.id} ip=127.0.0.1"
    assert re.fullmatch(r"event=forgot user=- ip=127.0.0.1 address=[0-9a-f]{12}", lines[3])
    assert lines[2].split("address=")[1] == lines[3].split("address=")[1]
    text = "\n".join(lines)
    for secret in (ADA["email"], "stranger", ADA["password"], NEW_PASSWORD, "wrong", "eyJ"):
        assert secret not in text
    assert new["token"] not in text
