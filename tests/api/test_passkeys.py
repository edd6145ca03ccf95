"""Passkeys: added, listed, renamed and removed by the user who has them."""

import cbor2
import pytest

from services.mail_kinds import PASSKEY_ADDED, PASSKEY_REMOVED
from tests.support.assertions import assert_error, case
from tests.support.authenticator import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    EDDSA,
    ES256,
    EXTENDED,
    PRESENT,
    RS256,
    VERIFIED,
    new_passkey,
    registration,
    to_bytes,
)
from tests.support.client import ADA, EVE
from tests.support.concurrency import run_simultaneously
from tests.support.email_client import verify_all
from tests.support.passkeys import (
    NAME,
    add,
    add_passkey,
    creation_options,
    listed,
    log_in,
    make_passkey,
    queued_mails,
    stored_session,
)

RECENT_SECONDS = 600
MAX_PASSKEYS = 20
UNKNOWN_IDS = ("0" * 24, "nonsense", "$where")
EACH_ALGORITHM = pytest.mark.parametrize(
    "algorithm", [ES256, EDDSA, RS256], ids=["ES256", "EdDSA", "RS256"]
)


def path_of(passkey):
    return f"/api/auth/passkeys/{passkey['id']}"


def is_challenge_for_recent(response):
    header = response.headers["WWW-Authenticate"]
    return header == f'Bearer error="insufficient_user_authentication", max_age={RECENT_SECONDS}'


class TestOptions:
    def test_options_require_a_discoverable_verified_passkey(self, api, verified):
        options = creation_options(api, verified["token"])
        selection = options["authenticatorSelection"]
        assert selection["userVerification"] == "required"
        assert selection["residentKey"] == "required"
        assert selection["requireResidentKey"] is True
        assert options["attestation"] == "none"
        assert {entry["alg"] for entry in options["pubKeyCredParams"]} == {-7, -8, -257}

    def test_options_name_the_service_and_the_user(self, api, verified):
        options = creation_options(api, verified["token"])
        assert options["rp"]["id"] == "movie-bag.example"
        assert options["user"]["name"] == ADA["email"]
        assert options["user"]["displayName"] == ADA["email"]
        assert options["timeout"] == 300_000

    def test_user_handle_is_constant_and_tells_nothing(self, api, verified):
        first, second = (creation_options(api, verified["token"]) for _ in range(2))
        assert first["user"]["id"] == second["user"]["id"]
        assert 0 < len(to_bytes(first["user"]["id"])) <= 64
        assert ADA["email"].encode() not in to_bytes(first["user"]["id"])

    def test_challenges_are_random(self, api, verified):
        first, second = (creation_options(api, verified["token"]) for _ in range(2))
        assert first["challenge"] != second["challenge"]
        assert len(to_bytes(first["challenge"])) >= 16

    def test_passkeys_of_the_user_are_excluded(self, api, verified, passkey):
        (excluded,) = creation_options(api, verified["token"])["excludeCredentials"]
        assert to_bytes(excluded["id"]) == passkey.credential_id

    def test_options_are_not_cached(self, api, verified):
        response = api.post("/api/auth/passkeys/options", token=verified["token"])
        assert response.headers["Cache-Control"] == "no-store"


class TestAdd:
    def test_passkey_is_returned_and_listed(self, api, verified):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options)
        response = add(api, verified["token"], credential, name=NAME)
        added = response.json()
        assert response.status_code == 200
        assert added.keys() == {"id", "name", "created_at", "last_used_at", "backed_up"}
        assert (added["name"], added["last_used_at"], added["backed_up"]) == (NAME, None, False)
        assert response.headers["Location"].endswith(path_of(added))
        assert listed(api, verified["token"]) == [added]

    @EACH_ALGORITHM
    @pytest.mark.parametrize("fmt", ["none", "packed"])
    def test_passkey_of_each_algorithm_logs_in(self, api, verified, algorithm, fmt):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options, algorithm)
        assert add(api, verified["token"], registration(passkey, options, fmt=fmt)).ok
        assert log_in(api, passkey).json()["email"] == ADA["email"]

    def test_name_is_optional(self, api, verified):
        options = creation_options(api, verified["token"])
        response = add(api, verified["token"], registration(make_passkey(options), options))
        assert response.json()["name"]

    def test_backup_is_shown(self, api, verified):
        options = creation_options(api, verified["token"])
        flags = PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP
        credential = registration(make_passkey(options), options, flags=flags)
        assert add(api, verified["token"], credential).json()["backed_up"] is True

    def test_extension_of_the_device_is_accepted(self, api, verified):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        end = passkey.attested_data() + cbor2.dumps({"credProtect": 3})
        flags = PRESENT | VERIFIED | EXTENDED
        credential = registration(passkey, options, flags=flags, end=end)
        assert add(api, verified["token"], credential).status_code == 200
        assert log_in(api, passkey).status_code == 200

    def test_unknown_members_inside_are_ignored(self, api, verified):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options, response={"more": [1]})
        credential |= {"more": {"a": None}, "clientExtensionResults": {"credProps": {"rk": True}}}
        assert add(api, verified["token"], credential).status_code == 200

    def test_unknown_field_beside_the_credential_is_refused(self, api, verified):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options)
        errors = assert_error(
            add(api, verified["token"], credential, more=1), 400, "SchemaValidationError"
        )
        assert errors.keys() == {"more"}

    def test_key_beside_the_attestation_object_is_ignored(self, api, verified):
        options = creation_options(api, verified["token"])
        passkey = make_passkey(options)
        other = new_passkey(passkey.user_handle, credential_id=passkey.credential_id)
        beside = {"publicKey": other.public_key()}
        credential = registration(passkey, options, response=beside)
        assert add(api, verified["token"], credential).status_code == 200
        assert_error(log_in(api, other), 401, "UnauthorizedError")
        assert log_in(api, passkey).status_code == 200

    def test_passkey_is_stored_once(self, api, verified, passkey):
        options = creation_options(api, verified["token"])
        response = add(api, verified["token"], registration(passkey, options))
        assert_error(response, 409, "ConflictError")
        assert len(listed(api, verified["token"])) == 1

    def test_credential_id_of_another_user_is_refused(self, api, verified, passkey, eve):
        verify_all()
        options = creation_options(api, eve["token"])
        other = make_passkey(options, credential_id=passkey.credential_id)
        assert_error(add(api, eve["token"], registration(other, options)), 409, "ConflictError")
        assert listed(api, eve["token"]) == []
        assert log_in(api, passkey).json()["email"] == ADA["email"]

    def test_number_of_passkeys_is_limited(self, api, verified):
        passkeys = [add_passkey(api, verified["token"]) for _ in range(MAX_PASSKEYS)]
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options)
        assert_error(add(api, verified["token"], credential), 409, "ConflictError")
        assert len(listed(api, verified["token"])) == len(passkeys)

    def test_limit_holds_for_16_at_once(self, api, atomic, verified):
        for _ in range(MAX_PASSKEYS - 1):
            add_passkey(api, verified["token"])
        options = [creation_options(api, verified["token"]) for _ in range(16)]
        made = [registration(make_passkey(it), it) for it in options]
        responses = run_simultaneously(16, lambda i: add(api, verified["token"], made[i]))
        stored = len(listed(api, verified["token"]))
        assert {response.status_code for response in responses} <= {200, 409}
        assert stored == MAX_PASSKEYS - 1 + sum(response.ok for response in responses)
        assert stored <= MAX_PASSKEYS

    def test_user_is_notified(self, api, verified, mails):
        add_passkey(api, verified["token"])
        assert queued_mails() == [PASSKEY_ADDED]
        assert [mail["To"] for mail in mails()] == [ADA["email"]]

    def test_refused_passkey_notifies_nobody(self, api, verified):
        options = creation_options(api, verified["token"])
        credential = registration(make_passkey(options), options, rp_id="other.example")
        assert not add(api, verified["token"], credential).ok
        assert queued_mails() == []

    def test_event_is_recorded(self, api, verified, count_events):
        add_passkey(api, verified["token"])
        assert count_events("passkey_added") == 1

    def test_passkeys_are_counted_among_the_factors(self, api, verified, passkey):
        factors = api.get("/api/auth/mfa", token=verified["token"]).json()
        assert factors == {"totp": False, "passkeys": 1, "recovery_codes_left": 0}

    def test_passkey_does_not_make_login_ask_again(self, api, verified, passkey):
        assert api.log_in().status_code == 200


class TestChecks:
    """Who may do what, and in which order it is checked: 401, 403, recent, 400, 404."""

    REQUESTS = (
        ("POST", "/api/auth/passkeys/options", {"more": 1}),
        ("POST", "/api/auth/passkeys", {"more": 1}),
        ("DELETE", f"/api/auth/passkeys/{'0' * 24}", {"more": 1}),
    )
    EACH_REQUEST = pytest.mark.parametrize(("method", "path", "wrong"), REQUESTS)

    @EACH_REQUEST
    def test_token_is_checked_first(self, api, ada, clock, method, path, wrong):
        clock.shift(RECENT_SECONDS + 1)
        assert_error(api.request(method, path, json=wrong), 401, "MissingTokenError")

    @pytest.mark.parametrize(("method", "path", "wrong"), REQUESTS[:2])
    def test_email_is_checked_second(self, api, ada, clock, method, path, wrong):
        clock.shift(RECENT_SECONDS + 1)
        response = api.request(method, path, json=wrong, token=ada["token"])
        assert_error(response, 403, "EmailNotVerifiedError")

    @EACH_REQUEST
    def test_login_is_checked_third(self, api, verified, clock, method, path, wrong):
        clock.shift(RECENT_SECONDS + 1)
        response = api.request(method, path, json=wrong, token=verified["token"])
        assert_error(response, 401, "ReauthenticationRequiredError")
        assert is_challenge_for_recent(response)

    @EACH_REQUEST
    def test_fields_are_checked_fourth(self, api, verified, method, path, wrong):
        response = api.request(method, path, json=wrong, token=verified["token"])
        assert_error(response, 400, "SchemaValidationError")

    def test_login_is_recent_for_10_minutes(self, api, verified, clock):
        logged_in = stored_session().auth_time
        clock.move_to(logged_in + RECENT_SECONDS - 1)
        passkey = add_passkey(api, verified["token"])
        clock.move_to(logged_in + RECENT_SECONDS)
        for method, path in (("POST", ""), ("POST", "/options"), ("DELETE", "/" + "0" * 24)):
            with case(method=method, path=path):
                response = api.request(method, f"/api/auth/passkeys{path}", token=verified["token"])
                assert_error(response, 401, "ReauthenticationRequiredError")
        assert log_in(api, passkey).status_code == 200

    def test_reading_and_renaming_need_no_recent_login(self, api, verified, passkey, clock):
        clock.shift(RECENT_SECONDS + 1)
        (stored,) = listed(api, verified["token"])
        response = api.patch(path_of(stored), json={"name": "Other"}, token=verified["token"])
        assert response.json() == stored | {"name": "Other"}


class TestList:
    def test_own_passkeys_are_listed_oldest_first(self, api, verified, eve, clock):
        verify_all()
        for token in (verified["token"], eve["token"], verified["token"]):
            add_passkey(api, token)
            clock.shift(1)
        first, second = listed(api, verified["token"])
        assert first["created_at"] < second["created_at"]
        (other,) = listed(api, eve["token"])
        assert other["id"] not in (first["id"], second["id"])

    def test_list_is_not_cached(self, api, verified, passkey):
        response = api.get("/api/auth/passkeys", token=verified["token"])
        assert response.headers["Cache-Control"] == "no-store"

    def test_list_needs_a_token(self, api):
        assert_error(api.get("/api/auth/passkeys"), 401, "MissingTokenError")


class TestRename:
    def test_name_is_changed(self, api, verified, passkey):
        (stored,) = listed(api, verified["token"])
        response = api.patch(path_of(stored), json={"name": "  Key  "}, token=verified["token"])
        assert response.json() == stored | {"name": "Key"}
        assert listed(api, verified["token"]) == [response.json()]

    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x" * 401}])
    def test_wrong_name_is_refused(self, api, verified, passkey, body):
        (stored,) = listed(api, verified["token"])
        response = api.patch(path_of(stored), json=body, token=verified["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"name"}
        assert listed(api, verified["token"]) == [stored]

    @pytest.mark.parametrize("passkey_id", UNKNOWN_IDS)
    def test_unknown_id_is_404(self, api, verified, passkey, passkey_id):
        path = f"/api/auth/passkeys/{passkey_id}"
        response = api.patch(path, json={"name": "Other"}, token=verified["token"])
        assert_error(response, 404, "PasskeyNotExistsError")

    def test_passkey_of_another_user_is_404(self, api, verified, passkey, eve):
        (stored,) = listed(api, verified["token"])
        response = api.patch(path_of(stored), json={"name": "Mine"}, token=eve["token"])
        assert_error(response, 404, "PasskeyNotExistsError")
        assert listed(api, verified["token"]) == [stored]


class TestRemove:
    def test_removed_passkey_is_gone(self, api, verified, passkey):
        (stored,) = listed(api, verified["token"])
        response = api.delete(path_of(stored), token=verified["token"])
        assert response.json().keys() == {"message"}
        assert listed(api, verified["token"]) == []
        assert_error(log_in(api, passkey), 401, "UnauthorizedError")

    def test_removed_passkey_can_be_added_again(self, api, verified, passkey):
        (stored,) = listed(api, verified["token"])
        assert api.delete(path_of(stored), token=verified["token"]).ok
        options = creation_options(api, verified["token"])
        assert add(api, verified["token"], registration(passkey, options)).status_code == 200

    def test_passkey_is_removed_once(self, api, verified, passkey):
        (stored,) = listed(api, verified["token"])
        assert api.delete(path_of(stored), token=verified["token"]).ok
        response = api.delete(path_of(stored), token=verified["token"])
        assert_error(response, 404, "PasskeyNotExistsError")

    @pytest.mark.parametrize("passkey_id", UNKNOWN_IDS)
    def test_unknown_id_is_404(self, api, verified, passkey_id):
        response = api.delete(f"/api/auth/passkeys/{passkey_id}", token=verified["token"])
        assert_error(response, 404, "PasskeyNotExistsError")

    def test_passkey_of_another_user_is_404(self, api, verified, passkey, eve):
        (stored,) = listed(api, verified["token"])
        response = api.delete(path_of(stored), token=eve["token"])
        assert_error(response, 404, "PasskeyNotExistsError")
        assert listed(api, verified["token"]) == [stored]

    def test_user_is_notified(self, api, verified, passkey, mails):
        mails()
        (stored,) = listed(api, verified["token"])
        assert api.delete(path_of(stored), token=verified["token"]).ok
        assert queued_mails() == [PASSKEY_REMOVED]
        assert [mail["To"] for mail in mails()] == [ADA["email"]]

    def test_event_is_recorded(self, api, verified, passkey, count_events):
        (stored,) = listed(api, verified["token"])
        assert api.delete(path_of(stored), token=verified["token"]).ok
        assert count_events("passkey_removed") == 1

    def test_sessions_go_on(self, api, verified, passkey):
        session = log_in(api, passkey).json()
        (stored,) = listed(api, verified["token"])
        assert api.delete(path_of(stored), token=verified["token"]).ok
        assert api.verify(session["token"]).status_code == 200

    def test_user_who_is_deleted_has_none_left(self, api, verified, passkey, eve):
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=verified["token"]).ok
        assert_error(log_in(api, passkey), 401, "UnauthorizedError")
        verify_all()
        options = creation_options(api, eve["token"])
        other = make_passkey(options, credential_id=passkey.credential_id)
        assert add(api, eve["token"], registration(other, options)).status_code == 200
        assert log_in(api, other).json()["email"] == EVE["email"]
