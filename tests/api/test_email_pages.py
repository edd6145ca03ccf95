"""The pages behind the links that confirm, refuse and undo (contract: "Email addresses")."""

import re

import pytest
from mongoengine.connection import get_db

from database.documents import DOCUMENTS
from database.models import User
from tests.support.assertions import case
from tests.support.client import ADA, NEW_PASSWORD
from tests.support.email_client import (
    DAY,
    NEW_EMAIL,
    change_email,
    confirm,
    is_verified,
    move,
    scope_in,
    undo,
    verify_all,
)
from tests.support.smtp_server import html_of, text_of, token_in
from tests.support.tokens import decode_parts, reset_token, sign
from tests.support.users import create_user

FORM = "application/x-www-form-urlencoded"
ACTIONS = ["confirm/{}", "confirm/{}/reject", "undo/{}"]


@pytest.fixture
def settings(settings):
    """Return settings under which a signup mails a link."""
    return {**settings, "EMAIL_VERIFICATION": "optional"}


@pytest.fixture
def signup_token(ada, mails):
    """Return the token that confirms Ada's email."""
    return token_in(mails()[0])


@pytest.fixture
def undo_token(api, ada, signup_token, mails):
    """Return the token that undoes Ada's change to NEW_EMAIL; her email was verified."""
    confirm(api, signup_token)
    return token_in(move(api, mails, ada["token"], NEW_EMAIL)[0])


@pytest.fixture
def change_token(api, ada, signup_token, mails):
    """Return the token of Ada's change to NEW_EMAIL, which waits."""
    change_email(api, ada["token"])
    return token_in(mails()[0])


@pytest.fixture
def pages(api, ada, undo_token, mails):
    """Return the paths of a page of each scope, all of whose links are valid."""
    change_email(api, ada["token"], "ada@third.example")
    change = token_in(mails()[0])
    User.objects.update(set__verified_at=None)
    api.post("/api/auth/email/resend", json={"email": NEW_EMAIL})
    signup = token_in(mails()[0])
    return [f"/confirm/{signup}", f"/confirm/{change}", f"/undo/{undo_token}"]


def stored():
    """Return everything that is stored."""
    return {
        name: list(get_db()[name].find(sort=[("_id", 1)]))
        for name in [document._get_collection_name() for document in DOCUMENTS]
    }


def assert_void(response):
    """Assert that a page says that its link is not valid, and has no form."""
    assert response.status_code == 401
    assert response.headers["Content-Type"].startswith("text/html")
    assert "<form" not in response.text
    assert "<button" not in response.text


class TestOpening:
    """Mail scanners open links, some of them often: that changes nothing."""

    def test_nothing_changes_however_often(self, api, pages):
        before = stored()
        for method in ("GET", "HEAD", "GET", "HEAD", "GET"):
            for page in pages:
                assert api.request(method, page).status_code == 200
        assert stored() == before

    def test_reject_and_api_can_not_be_opened(self, api, signup_token, undo_token):
        paths = [f"/confirm/{signup_token}/reject"]
        paths += [f"/api/auth/email/{it}" for it in ("confirm", "reject", "undo", "resend")]
        before = stored()
        for path in paths:
            for method in ("GET", "HEAD"):
                assert api.request(method, path, token=signup_token).status_code == 405
        assert stored() == before

    def test_page_has_a_form_that_is_posted(self, api, pages):
        for page in pages:
            text = api.get(page).text
            assert re.search(r'<form[^>]* method="?post', text)
            assert "<button" in text

    def test_page_of_a_confirmed_link_opens_again(self, api, signup_token):
        page = f"/confirm/{signup_token}"
        for _ in range(2):
            assert api.post(page).status_code == 200
            assert api.get(page).status_code == 200

    def test_headers_keep_the_token_secret(self, api, pages):
        for page in [*pages, "/confirm/nonsense", "/undo/nonsense"]:
            for response in (api.get(page), api.post(page)):
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Cache-Control"] == "no-store"
                policy = response.headers["Content-Security-Policy"].split("; ")
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy


class TestSubmit:
    def test_email_is_confirmed(self, api, ada, signup_token):
        response = api.post(f"/confirm/{signup_token}")
        assert response.status_code == 200
        assert ADA["email"] in response.text
        assert "eyJ" not in response.text
        assert "Set-Cookie" not in response.headers
        assert is_verified(api, ada["token"])

    def test_email_is_changed(self, api, ada, change_token):
        response = api.post(f"/confirm/{change_token}")
        assert response.status_code == 200
        assert NEW_EMAIL in response.text
        assert api.verify(ada["token"]).json()["email"] == NEW_EMAIL

    def test_account_is_refused(self, api, signup_token):
        assert api.post(f"/confirm/{signup_token}/reject").status_code == 200
        assert not User.objects.first()
        assert_void(api.post(f"/confirm/{signup_token}/reject"))
        assert_void(api.get(f"/confirm/{signup_token}"))

    def test_change_is_refused(self, api, ada, change_token):
        assert api.post(f"/confirm/{change_token}/reject").status_code == 200
        assert api.verify(ada["token"]).json()["email"] == ADA["email"]
        for response in (api.get(f"/confirm/{change_token}"), api.post(f"/confirm/{change_token}")):
            assert_void(response)

    def test_change_is_undone(self, api, ada, undo_token, mails):
        response = api.post(f"/undo/{undo_token}")
        assert response.status_code == 200
        assert ADA["email"] in response.text
        assert api.verify(ada["token"]).status_code == 401
        assert api.reset(token_in(mails()[0])).status_code == 200

    def test_email_taken_meanwhile_is_reported(self, api, change_token):
        create_user(NEW_EMAIL)
        response = api.post(f"/confirm/{change_token}")
        assert response.status_code == 400
        assert response.headers["Content-Type"].startswith("text/html")
        assert "already exists" in response.text

    def test_last_admin_is_not_refused(self, api, signup_token):
        User.objects.update(set__role="admin")
        response = api.post(f"/confirm/{signup_token}/reject")
        assert response.status_code == 409
        assert response.headers["Content-Type"].startswith("text/html")
        assert User.objects.get().is_admin


class TestVoidLink:
    def requests(self, api, token):
        """Yield the response of each page to a token, opened and submitted."""
        for action in ACTIONS:
            path = "/" + action.format(token)
            with case(path=action):
                yield api.post(path)
                if not path.endswith("/reject"):
                    yield api.get(path)

    def test_forged_and_long_tokens_are_void(self, api):
        for token in ("nonsense", "a.b.c", "%00", "<script>", "x" * 4097, "a." * 3000):
            for response in self.requests(api, token):
                assert_void(response)

    def test_token_of_another_scope_is_void(self, api, ada, undo_token, mails):
        change_email(api, ada["token"], "ada@third.example")
        change = token_in(mails()[0])
        user = User.objects.get()
        before = user.to_mongo()
        pairs = [(token, path) for token in ada.values() for path in ACTIONS if "eyJ" in str(token)]
        pairs += [(reset_token(api.app, user), path) for path in ACTIONS]
        pairs += [(undo_token, path) for path in ACTIONS[:2]] + [(change, ACTIONS[2])]
        pairs += [(change, "reset/{}"), (undo_token, "reset/{}")]
        for token, path in pairs:
            with case(path=path, scope=decode_parts(token)[1]["scope"]):
                assert_void(api.post("/" + path.format(token)))
                if not path.endswith("reject"):
                    assert_void(api.get("/" + path.format(token)))
        assert User.objects.get().to_mongo() == before

    def test_expired_link_is_void(self, api, clock, ada, signup_token, mails):
        clock.shift(DAY + 1)
        for action in ACTIONS[:2]:
            assert_void(api.post("/" + action.format(signup_token)))
        assert_void(api.get(f"/confirm/{signup_token}"))
        verify_all()
        token = token_in(move(api, mails, api.log_in().json()["token"], NEW_EMAIL)[0])
        clock.shift(7 * DAY + 1)
        for response in (api.get(f"/undo/{token}"), api.post(f"/undo/{token}")):
            assert_void(response)

    def test_used_undo_link_is_void(self, api, undo_token):
        assert undo(api, undo_token).status_code == 200
        for response in (api.get(f"/undo/{undo_token}"), api.post(f"/undo/{undo_token}")):
            assert_void(response)

    def test_confirmed_link_can_not_refuse(self, api, signup_token):
        confirm(api, signup_token)
        assert_void(api.post(f"/confirm/{signup_token}/reject"))
        assert User.objects.get().is_verified


class TestForgedClaim:
    """Our own key has signed it, as another program that has the key may."""

    @pytest.mark.parametrize("value", [{"$ne": None}, {"$gt": ""}, [], None, "", True, "x" * 65])
    def test_operator_is_no_claim(self, api, pages, value):
        before = stored()
        for page in pages:
            path, token = page.rsplit("/", 1)
            header, claims = decode_parts(token)
            for name in {"sub", "jti", "ev", "change"} & claims.keys():
                if name == "jti" and value == "":
                    continue
                with case(claim=name):
                    forged = sign(header, claims | {name: value})
                    assert_void(api.get(f"{path}/{forged}"))
                    assert_void(api.post(f"{path}/{forged}"))
        assert stored() == before

    def test_claim_of_another_version_is_void(self, api, pages):
        for page in pages:
            path, token = page.rsplit("/", 1)
            header, claims = decode_parts(token)
            other = {"ev": claims.get("ev", 0) + 1, "change": "0" * 24}
            changed = {name: other[name] for name in other.keys() & claims.keys()}
            assert_void(api.post(f"{path}/{sign(header, claims | changed)}"))
            missing = {name: it for name, it in claims.items() if name not in other}
            assert_void(api.post(f"{path}/{sign(header, missing)}"))


class TestForm:
    @pytest.mark.parametrize(
        ("content_type", "data", "status"),
        [
            ("multipart/form-data; boundary=x", b"--x--", 415),
            ("application/json", b"{}", 415),
            (FORM, b"a=&" * 101, 400),
            (FORM, b"a=\xff", 400),
            (FORM, b"a=%FF", 400),
            (FORM, b"email=eve%40example.com", 400),
            (FORM, b"a=" + b"x" * 70_000, 413),
        ],
        ids=["multipart", "JSON", "101 fields", "no UTF-8", "bad percents", "unknown", "large"],
    )
    def test_other_form_is_refused_with_a_page(self, api, pages, content_type, data, status):
        before = stored()
        for page in [*pages, *(f"{page}/reject" for page in pages[:2])]:
            response = api.post(page, data=data, headers={"Content-Type": content_type})
            assert response.status_code == status
            assert response.headers["Content-Type"].startswith("text/html")
        assert stored() == before

    def test_empty_form_is_enough(self, api, signup_token):
        headers = {"Content-Type": FORM}
        assert api.post(f"/confirm/{signup_token}", data=b"", headers=headers).status_code == 200

    def test_pages_and_api_count_together(self, make_app, http):
        http.app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_RESET_PER_IP="5 per minute")
        api = http
        for action in ACTIONS:
            assert_void(api.post("/" + action.format("nonsense")))
        assert confirm(api, "nonsense").status_code == 401
        assert undo(api, "nonsense").status_code == 401
        for action in ACTIONS:
            response = api.post("/" + action.format("nonsense"))
            assert response.status_code == 429
            assert response.headers["Content-Type"].startswith("text/html")
        for path in ("confirm", "reject", "undo"):
            assert api.post(f"/api/auth/email/{path}").status_code == 429


class TestLinksInMails:
    """They come from the settings, never from the request."""

    EVIL = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    def walk(self, api, mails):
        """Let every email with a link be sent, requested with another Host; return them."""
        sign_up = {"headers": self.EVIL, "json": ADA}
        assert api.post("/api/auth/signup", **sign_up).status_code == 200
        sent = mails()
        api.post("/api/auth/forgot", headers=self.EVIL, json={"email": ADA["email"]})
        sent += mails()
        confirm(api, token_in(sent[0]))
        token = api.log_in().json()["token"]
        body = {"email": NEW_EMAIL, "current_password": ADA["password"]}
        api.put("/api/auth/email", headers=self.EVIL, json=body, token=token)
        sent += mails()
        for path in ("confirm", "undo"):
            body = {f"{path}_token": token_in(sent[-1])}
            assert api.post(f"/api/auth/email/{path}", headers=self.EVIL, json=body).ok
            sent += mails()
        assert [scope_in(it) for it in sent] == [
            *("confirm", "pwd_reset", "change", "undo", "pwd_reset")
        ]
        return sent

    def links(self, sent):
        return [re.search(r"\S+?(?=eyJ)", text_of(mail))[0] for mail in sent]

    def test_host_of_the_request_is_ignored(self, api, mails):
        sent = self.walk(api, mails)
        base = "https://movie-bag.example"
        pages = ("confirm", "reset", "confirm", "undo", "reset")
        assert self.links(sent) == [f"{base}/{page}/" for page in pages]
        assert not any("evil" in text_of(mail) + html_of(mail) for mail in sent)

    def test_links_may_lead_elsewhere(self, make_app, http, mails):
        http.app = make_app(
            CONFIRM_URL="movr://x/confirm/{token}",
            UNDO_URL="https://app.example/#/undo/{token}",
            RESET_URL="movr://x/reset/{token}",
        )
        bases = ("movr://x/confirm/", "https://app.example/#/undo/", "movr://x/reset/")
        confirmed, undone, reset = bases
        sent = self.walk(http, mails)
        assert self.links(sent) == [confirmed, reset, confirmed, undone, reset]
        assert http.reset(token_in(sent[-1]), NEW_PASSWORD).status_code == 200
