"""The catalogues: how they are updated, and what the linter says about them."""

import re
import subprocess

import pytest

from scripts.lint import translations
from scripts.lint.source import SourceFile, read_files
from scripts.translations import extract_texts, write_catalogs
from tests.support.processes import HOME

TEMPLATE = 'Subject: {{ _("Hello %(name)s", name=name) }}\n'


@pytest.fixture
def root(tmp_path):
    """Return a repository with one template."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.txt").write_text(TEMPLATE)
    return tmp_path


@pytest.fixture
def catalog(root):
    """Return the path of a German catalogue in which everything is translated."""
    write_catalogs(root, ["de-DE"])
    path = root / "translations" / "de_DE" / "LC_MESSAGES" / "messages.po"
    head, *texts = path.read_text().split("\n\n")
    translated = [re.sub(r'(?s)msgid (.*)\nmsgstr ""', r"msgid \1\nmsgstr \1", it) for it in texts]
    path.write_text("\n\n".join([head, *translated]))
    write_catalogs(root, [])
    return path


def findings(root):
    return [str(finding) for finding in translations.check(read_files(root))]


def texts_of(path, source):
    """Return the texts that a file has, without those of every catalogue."""
    found = {it.id for it in extract_texts([SourceFile(path, source)])}
    return found - {it.id for it in extract_texts([])}


class TestExtraction:
    def test_texts_of_a_template_are_found(self):
        source = '{{ _("One") }} {{ _("Two %(n)s", n=1) }} {{ "three" | upper }} Four'
        assert texts_of("templates/x.html", source) == {"One", "Two %(n)s"}

    def test_messages_of_errors_are_found(self):
        source = (
            '"""Doc string."""\nA = "Not valid."\nclass BadError(ApiError):\n'
            '    """Doc string."""\n    message = "Went bad"\n'
            'def f():\n    g("Not this one")\n    raise E.OtherError(f"At most {n:,} of {m}.")\n'
            '    return ["Weak password."] or "x"\n'
        )
        found = {"Not valid.", "Went bad", "At most %s of %s.", "Weak password."}
        assert texts_of("services/errors.py", source) == found
        assert texts_of("services/movie_service.py", source) == set()

    def test_errors_that_no_page_shows_are_left_out(self):
        source = 'class MovieNotExistsError(ApiError):\n    message = "No such movie"\n'
        assert texts_of("services/errors.py", source) == set()

    def test_every_text_of_zxcvbn_is_found(self):
        assert "This is a very common password." in {it.id for it in extract_texts([])}


class TestUpdate:
    def test_second_run_changes_nothing(self, root, catalog, clock):
        before = catalog.read_bytes(), catalog.with_suffix(".mo").read_bytes()
        clock.shift(86400 * 400)
        write_catalogs(root, [])
        assert (catalog.read_bytes(), catalog.with_suffix(".mo").read_bytes()) == before

    def test_text_has_its_files_without_line_numbers(self, catalog):
        assert "#: templates/hello.txt\n" in catalog.read_text()

    def test_translation_is_kept_and_unused_text_removed(self, root, catalog):
        (root / "templates" / "hello.txt").write_text(TEMPLATE + '{{ _("Goodbye") }}')
        write_catalogs(root, [])
        assert 'msgid "Goodbye"\nmsgstr ""' in catalog.read_text()
        assert 'msgstr "Hello %(name)s"' in catalog.read_text()
        (root / "templates" / "hello.txt").write_text('{{ _("Goodbye") }}')
        write_catalogs(root, [])
        assert "Hello %(name)s" not in catalog.read_text()


class TestCheck:
    def test_catalogues_of_the_product_are_complete(self):
        assert findings(HOME) == []

    def test_complete_catalogue_has_no_findings(self, root, catalog):
        assert findings(root) == []

    def test_missing_and_fuzzy_translations_are_named(self, root, catalog):
        changed = TEMPLATE.replace("Hello", "Hello dear") + '{{ _("See you in the cinema") }}'
        (root / "templates" / "hello.txt").write_text(changed)
        write_catalogs(root, [])
        lacking = [it.partition("lacks a translation of: ")[2] for it in findings(root)]
        assert lacking == ["Hello dear %(name)s", "See you in the cinema"]

    def test_catalogue_that_is_not_updated_is_reported(self, root, catalog):
        (root / "templates" / "hello.txt").write_text('{{ _("Goodbye") }}')
        path = "translations/de_DE/LC_MESSAGES/messages.po"
        assert findings(root) == [f"{path}:1: is not up to date, run: make translations"]

    @pytest.mark.parametrize("content", [b"", None])
    def test_mo_file_that_is_not_compiled_is_reported(self, root, catalog, content):
        compiled = catalog.with_suffix(".mo")
        compiled.unlink() if content is None else compiled.write_bytes(content)
        path = "translations/de_DE/LC_MESSAGES/messages.mo"
        assert findings(root) == [f"{path}:1: is not up to date, run: make translations"]

    def test_wrong_placeholder_is_reported(self, root, catalog):
        text = catalog.read_text().replace('msgstr "Hello %(name)s"', 'msgstr "Hallo %(nam)s"')
        catalog.write_text(text)
        write_catalogs(root, [])
        (finding,) = findings(root)
        assert finding.endswith(": Hello %(name)s")
