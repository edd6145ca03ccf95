"""The page behind the link of a reset mail."""

import re

import pytest

from tests.conftest import ADA, NEW_PASSWORD


@pytest.fixture
def page(api, reset_link):
    """Return the path of a living reset page."""
    return f"/reset/{reset_link}"


def fill_in(api, page, password=NEW_PASSWORD, again=NEW_PASSWORD, **more):
    return api.post(page, data={"password": password, "password_confirmation": again} | more)


def test_opening_the_page_shows_a_form_and_spends_nothing(api, page):
    for _ in range(3):
        answer = api.get(page)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert re.findall(
            r'<input type="(\w+)" .*?name="(\w+)" autocomplete="([\w-]+)"', answer.text
        ) == [
            ("password", "password", "new-password"),
            ("password", "password_confirmation", "new-password"),
        ]
    assert fill_in(api, page).status_code == 200


def test_a_head_request_spends_nothing(api, page):
    assert api.head(page).status_code == 200
    assert fill_in(api, page).status_code == 200


def test_the_form_sets_the_password(api, page):
    answer = fill_in(api, page)
    assert "Your password is set" in answer.text
    assert ADA["email"] in answer.text
    assert api.log_in(password=NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize("request_", ["get", "post"])
def test_a_used_link_says_so_and_how_to_get_a_new_one(api, page, request_):
    fill_in(api, page)
    answer = api.get(page) if request_ == "get" else fill_in(api, page)
    assert answer.status_code == 401
    assert "This link no longer works" in answer.text
    assert "Reset token has already been used" in answer.text
    assert "Forgot password" in answer.text
    assert "<form" not in answer.text


@pytest.mark.parametrize("request_", ["get", "post"])
def test_an_expired_link_says_so(api, page, clock, request_):
    clock.shift(601)
    answer = api.get(page) if request_ == "get" else fill_in(api, page)
    assert answer.status_code == 401
    assert "Reset token has expired" in answer.text


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "%00", "<script>"])
def test_a_link_that_never_was_is_dead(api, token):
    answer = api.get(f"/reset/{token}")
    assert answer.status_code == 401
    assert "Invalid token" in answer.text


def test_a_weak_password_gets_the_form_again_with_the_reason_and_spends_nothing(api, page):
    answer = fill_in(api, page, "password1", "password1")
    assert answer.status_code == 400
    assert "This is a very common password." in answer.text
    assert 'aria-describedby="password-errors"' in answer.text
    assert "password1" not in answer.text
    assert fill_in(api, page).status_code == 200


def test_passwords_that_differ_get_the_form_again(api, page):
    answer = fill_in(api, page, again="something else")
    assert answer.status_code == 400
    assert "Passwords don&#39;t match." in answer.text
    assert 'aria-describedby="password_confirmation-errors"' in answer.text


def test_a_field_that_is_not_in_the_form_is_named(api, page):
    answer = fill_in(api, page, role="admin")
    assert answer.status_code == 400
    assert "role: Unknown field." in answer.text


def test_an_empty_form_gets_the_form_again(api, page):
    answer = api.post(page)
    assert answer.status_code == 400
    assert "Missing data for required field." in answer.text


def test_a_form_too_large_is_a_page_that_says_so(api, page):
    answer = fill_in(api, page, "x" * 70_000)
    assert answer.status_code == 413
    assert "That didn’t work" in answer.text


@pytest.mark.parametrize("state", ["living", "dead", "refused", "done"])
def test_no_page_leaks_its_address_or_lets_itself_be_framed(api, page, state):
    answer = {
        "living": lambda: api.get(page),
        "dead": lambda: api.get("/reset/nonsense"),
        "refused": lambda: fill_in(api, page, "password1"),
        "done": lambda: fill_in(api, page),
    }[state]()
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    assert not any("unsafe" in part for part in policy)
    named = re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
    assert all(path == "/" or path.startswith("/static/") for path in named)
    assert not re.search(r"<script(?! src=)|\son\w+=", answer.text)


def test_the_form_says_whose_password_it_sets_to_people_and_password_managers(api, page):
    for answer in (api.get(page), fill_in(api, page, "password1")):
        field = re.search(r'<input type="email" id="account".*?>', answer.text)[0]
        assert f'value="{ADA["email"]}"' in field
        assert 'autocomplete="username" readonly' in field
        assert "name=" not in field


def test_the_welcome_leads_to_the_documentation_and_in_development_to_the_mails(make_app, http):
    for env, mails in (("production", False), ("development", True)):
        http.app = make_app(APP_ENV=env)
        links = re.findall(r'<li><a href="(.*?)"', http.get("/").text)
        assert links == ["/api/docs", "/api/openapi.json", *["/dev/mail"] * mails]
        assert all(http.get(link).status_code == 200 for link in links)


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_whatever_a_page_loads_is_served_from_this_host(api, path):
    loaded = re.findall(r'(?:src|href)="([^"]*)"', api.get(path).text)
    assert loaded
    for address in loaded:
        assert re.match(r"/(?!/)", address)
        assert api.get(address).status_code == 200
