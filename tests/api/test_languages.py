"""The language of a user: where it comes from, and the emails and pages that are in it."""

import pytest

from database.models import ADMIN, User
from tests.support.assertions import assert_error
from tests.support.client import ADA, EVE, NEW_PASSWORD
from tests.support.smtp_server import html_of, text_of, token_in
from tests.support.users import create_session, create_user

EACH_PATH = pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
SPELLINGS = ["pt-BR", "pt_BR", "PT-br", "pt-br"]
UNKNOWN = ["", "pt", "fr", "de-DE", "en-", " de", "x" * 35, 5, None, ["de"]]
WEAK = {"password": "password1", "password_confirmation": "password2"}


def read_me(api):
    return api.get("/api/users/me", token=api.log_in().json()["token"]).json()


def sign_up(api, header=None, **fields):
    headers = {"Accept-Language": header} if header else {}
    return api.post("/api/auth/signup", json=ADA | fields, headers=headers)


@pytest.fixture
def german(api):
    """Sign Ada up, in German; return her id and tokens."""
    user_id = sign_up(api, locale="de", name="Ada").json()["id"]
    return {"id": user_id, **api.log_in().json()}


@pytest.fixture
def reset_page(api, german, mails):
    """Return the path of the page behind a German reset link."""
    api.forgot()
    return f"/reset/{token_in(mails()[0])}"


class TestSignup:
    @pytest.mark.parametrize(
        ("header", "locale"),
        [
            (None, "en"),
            ("pt-PT,pt;q=0.9,en;q=0.8", "pt-BR"),
            ("de-AT", "de"),
            ("fr", "en"),
            ("de," + "x" * 200, "en"),
        ],
    )
    def test_accept_language_decides(self, api, header, locale):
        assert sign_up(api, header).status_code == 200
        assert read_me(api)["locale"] == locale

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_field_wins_in_any_spelling(self, api, spelling):
        assert sign_up(api, "de", locale=spelling).status_code == 200
        assert read_me(api)["locale"] == "pt-BR"
        assert User.objects.get().locale == "pt_BR"

    @pytest.mark.parametrize("locale", UNKNOWN[:-3])
    def test_unknown_language_is_refused(self, api, locale):
        errors = assert_error(sign_up(api, locale=locale), 400, "SchemaValidationError")
        assert errors == {"locale": ["Must be one of en, pt-BR, de."]}

    def test_length_is_checked_first(self, api):
        errors = assert_error(sign_up(api, locale="x" * 36), 400, "SchemaValidationError")
        assert errors == {"locale": ["Must be at most 35 characters long."]}

    def test_admin_chooses_for_a_new_user(self, api):
        token = create_session(api.app, create_user("root@example.com", ADMIN))["token"]
        headers = {"Accept-Language": "de"}
        for fields, locale in ((ADA | {"locale": "pt-BR"}, "pt-BR"), (EVE, "en")):
            created = api.post("/api/users", json=fields, token=token, headers=headers)
            assert created.json()["locale"] == locale


class TestChange:
    @EACH_PATH
    def test_language_changes_alone(self, api, german, path):
        request = {"url": path.format(**german), "token": german["token"]}
        changed = api.patch(**request, json={"locale": "pt-br"}).json()
        assert (changed["locale"], changed["name"]) == ("pt-BR", "Ada")
        changed = api.patch(**request, json={"name": "Ada L"}).json()
        assert (changed["locale"], changed["name"]) == ("pt-BR", "Ada L")
        changed = api.patch(**request, json={"locale": "en", "name": None}).json()
        assert (changed["locale"], changed["name"]) == ("en", None)

    @EACH_PATH
    @pytest.mark.parametrize("locale", UNKNOWN)
    def test_unknown_language_changes_nothing(self, api, german, path, locale):
        request = {"url": path.format(**german), "token": german["token"]}
        response = api.patch(**request, json={"locale": locale, "name": "Eve"})
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"locale"}
        assert api.get(**request).json()["name"] == "Ada"

    def test_empty_change_lacks_a_name(self, api, german):
        response = api.patch("/api/users/me", json={}, token=german["token"])
        errors = assert_error(response, 400, "SchemaValidationError")
        assert errors == {"name": ["Missing data for required field."]}

    def test_language_that_was_removed_is_the_first(self, api, german, make_app):
        api.app = make_app(MAIL_LOCALES="pt-BR,en")
        assert read_me(api)["locale"] == "pt-BR"
        User.objects.update(unset__locale=1)
        assert read_me(api)["locale"] == "pt-BR"


class TestEmail:
    def test_email_is_in_the_users_language(self, api, german, mailbox):
        api.forgot()
        mail = mailbox.wait_for(1)[0]
        assert mail["Subject"] == "Setzen Sie Ihr Movie-bag-Passwort zurück"
        assert text_of(mail).startswith("Guten Tag!")
        assert "10 Minuten" in text_of(mail)
        assert '<html lang="de"' in html_of(mail)

    def test_next_email_is_in_the_changed_language(self, api, german, mailbox):
        api.patch("/api/users/me", json={"locale": "pt-BR"}, token=german["token"])
        api.forgot()
        assert mailbox.wait_for(1)[0]["Subject"] == "Redefina sua senha do Movie-bag"


class TestPages:
    """Pages of links are in the language of their user, whatever the browser prefers."""

    PORTUGUESE = {"Accept-Language": "pt-BR"}

    def open(self, api, path, method="GET", **options):
        return api.request(method, path, headers=self.PORTUGUESE, **options)

    def test_form_is_in_the_users_language(self, api, reset_page):
        page = self.open(api, reset_page).text
        assert '<html lang="de" dir="ltr">' in page
        assert "<h1>Neues Passwort wählen</h1>" in page
        assert "Mindestens 8 Zeichen" in page

    def test_form_again_says_in_german_what_is_wrong(self, api, reset_page):
        response = self.open(api, reset_page, "POST", data=WEAK | {"role": "admin"})
        assert response.status_code == 400
        assert '<html lang="de" dir="ltr">' in response.text
        assert "Das ist ein sehr häufiges Passwort." in response.text
        assert "Die Passwörter stimmen nicht überein." in response.text
        assert "role: Unbekanntes Feld." in response.text
        short = self.open(api, reset_page, "POST", data={"password": "x"})
        assert "Das Passwort muss zwischen 8 und 128 Zeichen lang sein." in short.text

    def test_confirmation_is_in_the_users_language(self, api, reset_page):
        response = self.open(api, reset_page, "POST", data={"password": NEW_PASSWORD})
        assert "Sie können sich damit jetzt als <strong>ada@example.com</strong>" in response.text

    def test_invalid_link_is_in_the_browsers_language(self, api, reset_page, clock):
        clock.shift(601)
        page = self.open(api, reset_page)
        assert page.status_code == 401
        assert '<html lang="pt-BR" dir="ltr">' in page.text
        assert "O link de redefinição expirou. Solicite um novo." in page.text
        assert "Reset token has expired" in api.get(reset_page).text

    def test_other_pages_and_json_are_in_english(self, api, reset_page):
        assert '<html lang="en" dir="ltr">' in self.open(api, "/").text
        response = self.open(api, "/api/auth/reset", "POST", json={"reset_token": "x"})
        assert response.json()["message"] == "Invalid token"
