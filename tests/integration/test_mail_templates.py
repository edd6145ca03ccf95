"""MAIL_TEMPLATES: a folder whose templates of emails win over ours."""

import pytest

from services import mail_preview
from setting_sources import SettingsError

SUBJECT = "Subject: {{ _('Reset your Movie-bag password') }}\n\n"


@pytest.fixture
def templates(tmp_path):
    """Return a function that writes templates into a folder and returns the folder."""
    folder = tmp_path / "templates"
    folder.mkdir()

    def write(**texts):
        for name, text in texts.items():
            stem, _, suffix = name.rpartition("_")
            (folder / f"{stem.replace('__', '.')}.{suffix}").write_text(text)
        return str(folder)

    return write


def preview(app, locale, kind="reset_password"):
    with app.app_context():
        return mail_preview.preview(kind, locale)


class TestOrder:
    def test_language_wins_over_folder_wins_over_ours(self, make_app, templates):
        folder = templates(
            reset_password__pt_BR_html="<p>Só em português: {{ link }}",
            reset_password_html="<p>All languages: {{ link }}",
            reset_password_txt=SUBJECT + "Hi {{ name }}",
            reset_password__de_txt="Subject: Hallo\n\nHallo {{ name }}",
        )
        app = make_app(MAIL_TEMPLATES=folder)
        link = "https://movie-bag.example/reset/..."
        assert preview(app, "pt_BR").html == f"<p>Só em português: {link}"
        assert preview(app, "de").html == preview(app, "en").html == f"<p>All languages: {link}"
        assert preview(app, "de")[:2] == ("Hallo", "Hallo Ada")
        assert preview(app, "pt_BR")[:2] == ("Redefina sua senha do Movie-bag", "Hi Ada")
        changed = preview(app, "de", "password_changed")
        assert changed.subject == "Ihr Movie-bag-Passwort wurde geändert"
        assert changed.text.startswith("Guten Tag, Ada!")

    def test_layout_is_replaced_for_every_email(self, make_app, templates):
        folder = templates(
            layout_html="<main>{% block content %}{% endblock %}</main>",
            layout__de_html="<article>{% block content %}{% endblock %}</article>",
        )
        app = make_app(MAIL_TEMPLATES=folder)
        for kind in ("reset_password", "password_changed"):
            assert preview(app, "en", kind).html.startswith("<main>")
            assert preview(app, "de", kind).html.startswith("<article>")

    def test_values_are_escaped_in_a_template_of_a_language(self, make_app, templates):
        app = make_app(MAIL_TEMPLATES=templates(reset_password__de_html="{{ '<b>' }}"))
        assert preview(app, "de").html == "&lt;b&gt;"


class TestStart:
    def test_template_with_an_error_stops_the_start(self, make_app, templates):
        folder = templates(a_html="{% if %}")
        with pytest.raises(SettingsError, match=r"MAIL_TEMPLATES: email/a\.html: "):
            make_app(MAIL_TEMPLATES=folder)

    def test_text_without_a_subject_stops_the_start(self, make_app, templates):
        folder = templates(a_txt="Subject: A\n\nText", b_txt="Hello", c__de_txt="Subject:\n")
        with pytest.raises(
            SettingsError, match="a line Subject: … and an empty line, in b.txt, c.de.txt"
        ):
            make_app(MAIL_TEMPLATES=folder)


class TestCommand:
    def test_text_and_html_are_printed(self, app):
        runner = app.test_cli_runner()
        text = runner.invoke(args=["mail", "preview", "reset_password", "--locale", "pt-br"])
        assert text.exit_code == 0
        assert text.stdout.startswith("Subject: Redefina sua senha do Movie-bag\n\nOlá, Ada!\n")
        html = runner.invoke(args=["mail", "preview", "password_changed", "--html"])
        assert html.stdout.startswith('<!doctype html>\n<html lang="en"')

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["reset_password", "--locale", "fr"], "must be one of en, pt_BR, de."),
            (["nonsense"], "'nonsense' is not one of"),
        ],
    )
    def test_unknown_email_or_language_is_refused(self, app, arguments, sentence):
        result = app.test_cli_runner().invoke(args=["mail", "preview", *arguments])
        assert result.exit_code == 2
        assert sentence in result.stderr
