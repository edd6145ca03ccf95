"""Languages: the best match of a header, durations and dates in words, and the texts themselves."""

import re
from io import StringIO

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import g
from flask_babel import force_locale
from jinja2 import StrictUndefined

from database.models import User
from services import languages, mail_kinds, mail_preview, mail_templates
from services.mail_kinds import MAILS
from services.mail_templates import FOLDER
from tests.support.processes import HOME

LOCALES = ("en", "pt_BR", "de")
OF_FACTORS = (
    mail_kinds.TOTP_ADDED,
    mail_kinds.TOTP_REMOVED,
    mail_kinds.RECOVERY_CODES_CREATED,
    mail_kinds.RECOVERY_CODE_USED,
    mail_kinds.PASSKEY_ADDED,
    mail_kinds.PASSKEY_REMOVED,
)
CATALOGS = {
    path.parts[-3]: read_po(StringIO(path.read_text()), locale=path.parts[-3])
    for path in sorted((HOME / "translations").glob("*/LC_MESSAGES/messages.po"))
}
EMAILS = sorted(path.stem for path in (HOME / "templates" / FOLDER).glob("*.txt"))
NOVEMBER_20 = 1795167000.0
# What a template of an email may use.
FACTORS = {"totp": True, "passkeys": 2, "recovery_codes_left": 9}
EXAMPLE = {
    "name": "Ada",
    "link": "https://movie-bag.example/reset/" + "eyJ-" * 40,
    "lifetime": "7 d",
    "created_at": NOVEMBER_20,
    "new_email_hint": "a…@example.com",
    "at": NOVEMBER_20,
    "ip": "203.0.113.7",
    "device": "Firefox on Linux",
    "devices": [
        {"browser": "Firefox", "system": "Linux", "ip": "203.0.113.7", "first_at": NOVEMBER_20},
        {"browser": "", "system": "", "ip": "", "first_at": NOVEMBER_20},
    ],
    "codes_left": 9,
    "factors": FACTORS,
}
# Each page of a link, with what its view passes to it; the form has two states.
ADDRESS = {"email": "ada@example.com"}
NO_ERRORS = {"password": [], "password_confirmation": []}
FORM_ERRORS = NO_ERRORS | {
    "password": ["This is a very common password."],
    "role": ["Unknown field."],
}
NO_FACTORS = {"totp": False, "passkeys": 0, "recovery_codes_left": 0}
PAGES = [
    ("accept_invitation.html", {"errors": NO_ERRORS}),
    ("confirm_email.html", {**ADDRESS, "is_change": False, "created_at": NOVEMBER_20}),
    ("confirm_email.html", {**ADDRESS, "is_change": True, "created_at": NOVEMBER_20}),
    ("email_confirmed.html", ADDRESS),
    ("email_rejected.html", {"is_change": False}),
    ("email_rejected.html", {"is_change": True}),
    ("email_restored.html", ADDRESS),
    ("error.html", {"message": "The service is busy, try again in a moment"}),
    ("invalid_link.html", {"message": "Invalid token"}),
    ("invitation_accepted.html", ADDRESS),
    ("password_set.html", {**ADDRESS, "factors": NO_FACTORS}),
    ("password_set.html", {**ADDRESS, "factors": FACTORS}),
    ("reset_password.html", {"errors": NO_ERRORS}),
    ("reset_password.html", {"errors": FORM_ERRORS}),
    ("undo_change.html", ADDRESS),
]


@pytest.fixture
def context(app):
    """Use the application, and fail at a variable that a template does not get."""
    app.jinja_env.undefined = StrictUndefined
    with app.test_request_context("/confirm/x"):
        g.link_user = User(**ADDRESS)
        yield app


def english_in(text):
    """Return the English texts that a text contains, without the parts that vary."""
    texts = [message.id for message in CATALOGS["de"] if message.id]
    parts = {part.strip() for it in texts for part in re.split(r"%\(\w+\)s|%s", it)}
    return [part for part in parts if len(part) > 8 and part in text]


class TestBestMatch:
    @pytest.mark.parametrize(
        ("header", "locale"),
        [
            ("", "en"),
            ("*", "en"),
            ("fr", "en"),
            ("de", "de"),
            ("DE-at, en;q=0.5", "de"),
            ("pt", "pt_BR"),
            ("pt-PT", "pt_BR"),
            ("pt_br", "pt_BR"),
            ("fr, de;q=0.1", "de"),
            ("de;q=0.3, pt;q=0.7", "pt_BR"),
            ("en-GB, de", "en"),
            ("de;q=0, pt", "pt_BR"),
            ("de;q=0", "en"),
            ("de;q=nonsense, pt", "pt_BR"),
            (",;=,,", "en"),
            ("\x00\xff", "en"),
            ("de" + 198 * " ", "de"),
            ("de" + 199 * " ", "en"),
        ],
    )
    def test_language_of_a_header(self, context, header, locale):
        assert languages.best_match(header) == locale

    def test_region_wins_over_the_language_alone(self, make_app):
        with make_app(MAIL_LOCALES="pt_BR,pt_PT").app_context():
            assert languages.best_match("pt-PT") == "pt_PT"
            assert languages.best_match("pt-AO") == "pt_BR"


class TestWords:
    @pytest.mark.parametrize(
        ("minutes", "words"),
        [
            (1, ("1 minute", "1 minuto", "1 Minute")),
            (10, ("10 minutes", "10 minutos", "10 Minuten")),
            (60, ("1 hour", "1 hora", "1 Stunde")),
            (90, ("1 hour and 30 minutes", "1 hora e 30 minutos", "1 Stunde und 30 Minuten")),
            (24 * 60, ("24 hours", "24 horas", "24 Stunden")),
            (48 * 60, ("2 days", "2 dias", "2 Tage")),
            (7 * 24 * 60, ("7 days", "7 dias", "7 Tage")),
            (
                2 * 24 * 60 + 61,
                (
                    "2 days, 1 hour, and 1 minute",
                    "2 dias, 1 hora e 1 minuto",
                    "2 Tage, 1 Stunde und 1 Minute",
                ),
            ),
        ],
    )
    def test_duration(self, context, minutes, words):
        for locale, expected in zip(LOCALES, words, strict=True):
            with force_locale(locale):
                assert languages.duration(minutes) == expected

    def test_date_is_long_and_in_utc(self, context):
        dates = ("November 20, 2026", "20 de novembro de 2026", "20. November 2026")
        for locale, expected in zip(LOCALES, dates, strict=True):
            with force_locale(locale):
                assert languages.long_date(NOVEMBER_20) == expected
        last_second = 1795132799 + 24 * 3600
        with force_locale("de"):
            assert languages.long_date(last_second) == dates[2]
            assert languages.long_date(last_second + 1) == "21. November 2026"

    def test_time_is_long_and_in_utc(self, context):
        times = (
            "November 20, 2026, 9:30:00\u00a0AM UTC",
            "20 de novembro de 2026 09:30:00 UTC",
            "20. November 2026, 09:30:00 UTC",
        )
        for locale, expected in zip(LOCALES, times, strict=True):
            with force_locale(locale):
                assert languages.long_time(NOVEMBER_20) == expected

    @pytest.mark.parametrize(
        ("message", "german"),
        [
            ("Passwords don't match.", "Die Passwörter stimmen nicht überein."),
            (
                "This is a top-10 common password.",
                "Das ist eines der 10 häufigsten Passwörter.",
            ),
            (
                "Must be between 12 and 128 characters long.",
                "Das Passwort muss zwischen 12 und 128 Zeichen lang sein.",
            ),
            ("Must be at most 1,024 characters long.", "Höchstens 1.024 Zeichen sind erlaubt."),
            ("No such text: 5 %(x)s %s", "No such text: 5 %(x)s %s"),
        ],
    )
    def test_message_of_an_error_is_translated(self, context, message, german):
        with force_locale("de"):
            assert languages.translate(message) == german
        assert languages.translate(message) == message


class TestEmails:
    """Every email in every language."""

    @pytest.mark.parametrize("locale", LOCALES)
    @pytest.mark.parametrize("name", ["Ada", None])
    @pytest.mark.parametrize("email", EMAILS)
    def test_email_renders(self, context, email, name, locale):
        with force_locale(locale):
            subject, text, html = mail_templates.render(email, EXAMPLE | {"name": name})
        assert re.fullmatch(r"\S.*\S", subject)
        assert f'<html lang="{locale.replace("_", "-")}" dir="ltr">' in html
        for content in (subject, text, html):
            assert not re.search(r"{[{%]|None|Undefined|%\(", content)
            assert locale == "en" or not english_in(content)

    @pytest.mark.parametrize("email", EMAILS)
    def test_text_and_html_say_the_same(self, context, email):
        templates = [
            (HOME / "templates" / FOLDER / f"{email}.{suffix}").read_text()
            for suffix in ("txt", "html")
        ]
        text, html = (set(re.findall(r'_\("([^"]{40,})"', it)) for it in templates)
        assert text
        assert text - html <= {subject_text(templates[0])}

    @pytest.mark.parametrize("email", EMAILS)
    def test_lines_are_short_and_links_unbroken(self, context, email):
        for locale in LOCALES:
            with force_locale(locale):
                text = mail_templates.render(email, EXAMPLE).text
            lines = text.splitlines()
            assert max(map(len, set(lines) - {EXAMPLE["link"]})) <= 76
            uses_link = "{{ link }}" in (HOME / "templates" / FOLDER / f"{email}.txt").read_text()
            assert (EXAMPLE["link"] in lines) == uses_link

    @pytest.mark.parametrize("email", ["confirm_change", "confirm_email", "finish_signup"])
    def test_email_to_an_unverified_address_has_no_name(self, context, email):
        for locale in LOCALES:
            with force_locale(locale):
                assert "Ada" not in "".join(mail_templates.render(email, EXAMPLE))

    @pytest.mark.parametrize("email", OF_FACTORS)
    def test_notice_of_a_factor_says_when_and_from_where(self, context, email):
        with force_locale("de"):
            _, text, html = mail_templates.render(email, EXAMPLE)
            at_the_shell = mail_templates.render(email, EXAMPLE | {"ip": "", "device": ""}).text
        time = "Zeit: 20. November 2026, 09:30:00 UTC"
        lines = [time, "IP-Adresse: 203.0.113.7", "Gerät: Firefox on Linux"]
        assert "\n\n" + "\n".join(lines) + "\n" in text
        assert "<br>".join(lines) in html
        assert time in at_the_shell
        assert "IP-Adresse" not in at_the_shell
        assert "Gerät" not in at_the_shell

    @pytest.mark.parametrize("email", OF_FACTORS)
    def test_only_a_used_code_says_how_many_are_left(self, context, email):
        _, text, html = mail_templates.render(email, EXAMPLE)
        is_used = email == mail_kinds.RECOVERY_CODE_USED
        for content in (text, html):
            assert ("Recovery codes left: 9" in content) == is_used

    @pytest.mark.parametrize(
        ("factors", "lines"),
        [
            (
                (True, 8, 2),
                ["Second factor: on", "Recovery codes left: 8", "Number of passkeys: 2"],
            ),
            ((True, 0, 0), ["Second factor: on", "Recovery codes left: 0"]),
            ((False, 0, 1), ["Number of passkeys: 1"]),
            ((False, 0, 0), None),
            (None, None),
        ],
    )
    def test_notice_of_a_reset_lists_what_stays(self, context, factors, lines):
        names = ("totp", "recovery_codes_left", "passkeys")
        given = {"factors": dict(zip(names, factors, strict=True))} if factors else {}
        _, text, html = mail_templates.render("password_changed", {"name": None, **given})
        *_, listed, signature = text.strip().split("\n\n")
        assert signature == "Movie-bag"
        assert (listed.splitlines() == lines) == bool(lines)
        for content in (text, html):
            assert ("A reset leaves the following as it is." in content) == bool(lines)
            assert all(line in content for line in lines or [])

    def test_values_are_escaped_in_html_alone(self, context):
        with force_locale("de"):
            content = mail_templates.render("email_changed", EXAMPLE | {"name": "<b>%(link)s"})
        assert "Guten Tag, <b>%(link)s!" in content.text
        assert "Guten Tag, &lt;b&gt;%(link)s!" in content.html

    @pytest.mark.parametrize("kind", MAILS)
    def test_preview_has_a_link_that_does_not_work(self, context, kind):
        for locale in LOCALES:
            content = mail_preview.preview(kind, locale)
            has_link = "https://movie-bag.example/" in content.text
            assert has_link == bool(MAILS[kind].link)
            assert not has_link or "/...\n" in content.text


def subject_text(template):
    return re.match(r'Subject: {{ _\("(.*?)"\) }}\n\n', template)[1]


class TestPages:
    """Every page of a link in every language."""

    @pytest.mark.parametrize("locale", LOCALES)
    @pytest.mark.parametrize(("template", "given"), PAGES)
    def test_page_renders(self, context, template, given, locale):
        with force_locale(locale):
            html = context.jinja_env.get_template(template).render(
                given, g=g, config=context.config, request={"path": "/confirm/x"}
            )
        assert f'<html lang="{locale.replace("_", "-")}" dir="ltr">' in html
        assert html.count("<button>") <= 1
        assert "<form" not in html or html.count("<button>") == 1
        assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=", html)
        assert locale == "en" or not english_in(html)

    def test_page_of_a_change_names_the_date(self, context):
        with force_locale("de"):
            html = context.jinja_env.get_template("confirm_email.html").render(
                **ADDRESS, is_change=True, created_at=NOVEMBER_20, request={"path": "/confirm/x"}
            )
        assert "20. November 2026" in html
        assert 'action="/confirm/x/reject"' in html


class TestCatalogs:
    @pytest.mark.parametrize("locale", CATALOGS)
    def test_placeholders_are_those_of_the_english_text(self, locale):
        def placeholders(text):
            return sorted(re.findall(r"%\(\w+\)s|%s", text))

        messages = [message for message in CATALOGS[locale] if message.id]
        assert len(messages) > 100
        for message in messages:
            assert placeholders(message.string) == placeholders(message.id)

    @pytest.mark.parametrize("locale", CATALOGS)
    def test_quotation_marks_are_those_of_the_language(self, locale):
        wrong = {"de": '["”]', "pt_BR": '["„]'}[locale]
        assert [it.id for it in CATALOGS[locale] if it.id and re.search(wrong, it.string)] == []

    def test_missing_text_is_shown_in_english(self, make_app, tmp_path):
        folder = tmp_path / "fr" / "LC_MESSAGES"
        folder.mkdir(parents=True)
        french = 'msgid "Choose a new password"\nmsgstr "Choisir un nouveau mot de passe"\n'
        catalog = read_po(StringIO(french), locale="fr")
        with (folder / "messages.mo").open("wb") as output:
            write_mo(output, catalog)
        app = make_app(MAIL_LOCALES="en,fr", BABEL_TRANSLATION_DIRECTORIES=str(tmp_path))
        with app.app_context():
            content = mail_preview.preview("reset_password", "fr")
        assert "Choisir un nouveau mot de passe" in content.html
        assert content.subject == "Reset your Movie-bag password"
        assert "open this link within 10 minutes" in content.text
