"""The pages: a welcome, and the form behind the link of a reset email."""

import re

import pytest

from resources import book
from tests.support.client import ADA, NEW_PASSWORD

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def page(api, mailed_token):
    """Return the path of a reset page whose link is valid."""
    return f"/reset/{mailed_token}"


def submit(api, page, password=NEW_PASSWORD, confirmation=NEW_PASSWORD, **fields):
    form = {"password": password, "password_confirmation": confirmation} | fields
    return api.post(page, data=form)


class TestForm:
    def test_opening_it_leaves_the_token_valid(self, api, page):
        for _ in range(3):
            response = api.get(page)
            assert response.status_code == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            inputs = r'<input type="(\w+)" .*?name="(\w+)" autocomplete="([\w-]+)"'
            assert re.findall(inputs, response.text) == [
                ("password", "password", "new-password"),
                ("password", "password_confirmation", "new-password"),
            ]
        assert api.request("HEAD", page).status_code == 200
        assert submit(api, page).status_code == 200

    def test_account_is_named_for_people_and_password_managers(self, api, page):
        for response in (api.get(page), submit(api, page, "password1")):
            field = re.search(r'<input type="email" id="account".*?>', response.text)[0]
            assert f'value="{ADA["email"]}"' in field
            assert 'autocomplete="username" readonly' in field
            assert "name=" not in field


class TestSubmit:
    def test_password_is_set(self, api, page):
        response = submit(api, page)
        assert "Your password is set" in response.text
        assert ADA["email"] in response.text
        assert api.log_in(password=NEW_PASSWORD).status_code == 200

    def test_weak_password_is_refused_with_the_reason(self, api, page):
        response = submit(api, page, "password1", "password1")
        assert response.status_code == 400
        assert "This is a very common password." in response.text
        assert 'aria-describedby="password-errors"' in response.text
        assert "password1" not in response.text
        assert submit(api, page).status_code == 200

    def test_different_confirmation_is_refused(self, api, page):
        response = submit(api, page, confirmation="something else")
        assert response.status_code == 400
        assert "Passwords don&#39;t match." in response.text
        assert 'aria-describedby="password_confirmation-errors"' in response.text

    def test_unknown_field_is_named(self, api, page):
        response = submit(api, page, role="admin")
        assert response.status_code == 400
        assert "role: Unknown field." in response.text

    def test_empty_form_is_refused(self, api, page):
        response = api.post(page)
        assert response.status_code == 400
        assert "Missing data for required field." in response.text

    @pytest.mark.parametrize(
        ("content_type", "data", "status"),
        [
            ("multipart/form-data; boundary=x", b"--x--", 415),
            ("application/json", b'{"password": "x"}', 415),
            (FORM, b"a=&" * 100, 400),
            (FORM, b"password=\xff", 400),
            (FORM, b"password=%FFcorrect%20horse%20battery", 400),
            (f"{FORM}; charset=utf-8", b"password=x&password_confirmation=x", 400),
        ],
        ids=[
            "multipart",
            "JSON",
            "101 fields",
            "no UTF-8",
            "bad percents",
            "weak password",
        ],
    )
    def test_other_body_is_refused_with_a_page(self, api, page, content_type, data, status):
        response = api.post(page, data=data, headers={"Content-Type": content_type})
        assert response.status_code == status
        assert response.headers["Content-Type"].startswith("text/html")
        assert submit(api, page).status_code == 200

    def test_large_form_is_refused_with_a_page(self, api, page):
        response = submit(api, page, "x" * 70_000)
        assert response.status_code == 413
        assert "That didn’t work" in response.text


class TestInvalidLink:
    def test_used_link_says_how_to_get_another(self, api, page):
        submit(api, page)
        for response in (api.get(page), submit(api, page)):
            assert response.status_code == 401
            assert "This link is not valid" in response.text
            assert "Reset token has already been used" in response.text
            assert "Forgot password" in response.text
            assert "<form" not in response.text

    def test_expired_link_says_so(self, api, page, clock):
        clock.shift(601)
        for response in (api.get(page), submit(api, page)):
            assert response.status_code == 401
            assert "Reset token has expired" in response.text

    def test_forged_link_is_not_valid(self, api):
        for token in ("nonsense", "a.b.c", "%00", "<script>"):
            response = api.get(f"/reset/{token}")
            assert response.status_code == 401
            assert "Invalid token" in response.text


def pages_in_every_state(api, page):
    """Yield the form, an invalid link, the form with errors, and the confirmation."""
    for response, status in (
        (api.get(page), 200),
        (api.get("/reset/nonsense"), 401),
        (submit(api, page, "password1"), 400),
        (submit(api, page), 200),
    ):
        assert response.status_code == status
        yield response


class TestSecurity:
    def test_no_page_can_leak_its_url_or_be_framed(self, api, page):
        for response in pages_in_every_state(api, page):
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            policy = response.headers["Content-Security-Policy"].split("; ")
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'self'" in policy
            assert not any("unsafe" in part for part in policy)

    def test_no_page_names_another_host_or_has_inline_scripts(self, api, page):
        for response in pages_in_every_state(api, page):
            urls = re.findall(r'(?:src|href|action)="([^"]*)"', response.text)
            assert all(url == "/" or url.startswith("/static/") for url in urls)
            assert not re.search(r"<script(?! src=)|\son\w+=", response.text)


class TestWelcome:
    def test_links_lead_to_docs_and_in_development_to_emails(
        self, make_app, http, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(book, "SITE", tmp_path)
        for env, others in (("production", []), ("development", ["/demo", "/dev/mail"])):
            http.app = make_app(APP_ENV=env)
            found = re.findall(r'<li><a href="(.*?)"', http.get("/").text)
            links = [link.removeprefix(http.app.config["PUBLIC_URL"]) for link in found]
            assert links == ["/api/docs", "/api/openapi.json", *others]
            assert all(http.get(link).status_code == 200 for link in links)

    @pytest.mark.parametrize("path", ["/", "/api/docs"])
    def test_files_come_from_this_host(self, api, path):
        urls = re.findall(r'(?:src|href)="([^"]*)"', api.get(path).text)
        assert urls
        for url in urls:
            assert re.match(r"/(?!/)", url)
            assert api.get(url).status_code == 200
