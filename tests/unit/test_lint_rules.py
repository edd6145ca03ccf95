"""The checks of `make lint`: each reports a planted violation and no valid code."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lint import database_access, functions, imports, words
from scripts.lint.__main__ import run_checks
from scripts.lint.figures import code_lines, function_lengths
from scripts.lint.finding import Finding
from scripts.lint.source import SourceFile

ROOT = Path(__file__).parents[2]
DOCSTRING = '"""State the rule."""\n'
CLEAN = {
    "app.py": "from resources import auth\nfrom services import auth_service\n",
    "run.py": "import app\n",
    "gunicorn.conf.py": "from deploy import worker\n",
    "deploy/worker.py": "import app\n",
    "commands/users.py": "from services import auth_service\n",
    "resources/__init__.py": DOCSTRING,
    "resources/auth.py": "from web import decorators\nfrom schemas.auth import LoginSchema\n",
    "web/decorators.py": "from schemas import auth\n",
    "schemas/auth.py": "from marshmallow import Schema\n",
    "services/auth_service.py": "from jobs import queue\nfrom infra import metrics\n",
    "jobs/queue.py": "from infra import metrics\nfrom database.models import Job\n",
    "infra/metrics.py": "import config\n",
    "database/models.py": "Job = db.User._get_collection()\n",
    "config.py": 'OLD = "RATELIMIT_LOGIN_PER_ADDRESS"\n',
    "CHANGELOG.md": "- A setting is renamed:\n  X_PER_ACCOUNT → X_PER_USER\n- A fix.\n",
    "tests/__init__.py": "",
    "tests/api/test_auth.py": "from tests.support import smtp\nfrom app import create_app\n",
    "tests/support/smtp.py": "import app\n",
    "README.md": "The deadline of a livestream benefits a PUT; the dead letter queue fits.\n",
    "LICENSE": "THE SOFTWARE SHALL BE ANEW\n",
}
PLANTED = {
    words.RULE: ("docs/jobs.md", "One\nmails mend\n\n", "docs/jobs.md:2: "),
    database_access.RULE: ("services/users.py", "User._get_db()\n", "_get_db outside database/"),
    imports.DIRECTION: (
        "schemas/user.py",
        "from web import decorators\n",
        "schemas may not import",
    ),
    imports.IN_FUNCTION: ("web/x.py", "def f():\n    import config\n", "web/x.py:2: "),
    imports.CYCLE: ("infra/a.py", "from infra import a, b\n", "infra.a → infra.b → infra.a"),
    imports.TEST_IMPORT: (
        "tests/api/test_x.py",
        "from .test_auth import y\n",
        "test_auth is a test",
    ),
    imports.TEST_HELPER: ("tests/proxy.py", "", "move it to tests/support"),
    imports.PACKAGE: ("services/__init__.py", DOCSTRING + "A = 1\n", "must be one docstring"),
    functions.LENGTH: ("bench/x.py", "def f():\n" + 30 * "    f()\n", "f has 31 lines"),
    functions.TEST_NAME: (
        "tests/test_n.py",
        f"def test_{56 * 'x'}():\n    pass\n",
        "61 characters",
    ),
}


class Repository:
    """A git repository that has only what a test puts into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        subprocess.run(["git", "init", "--quiet", root], check=True)

    def write(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)

    def findings(self) -> list[Finding]:
        return run_checks(self.root)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def clean(repository: Repository) -> Repository:
    repository.write(CLEAN)
    return repository


def findings_of_text(text: str, path: str = "docs/page.md") -> list[Finding]:
    return list(words.check([SourceFile(path, text)]))


class TestAllChecks:
    def test_clean_repository_has_no_findings(self, clean):
        assert clean.findings() == []

    @pytest.mark.parametrize("rule", PLANTED)
    def test_planted_violation_is_reported(self, clean, rule):
        path, text, expected = PLANTED[rule]
        clean.write({"infra/b.py": "from infra.a import c\n", "infra/a.py": ""})
        assert clean.findings() == []
        clean.write({path: text})
        (finding,) = clean.findings()
        assert finding.rule == rule
        assert expected in str(finding)

    def test_ignored_deleted_and_binary_files_are_not_read(self, clean):
        clean.write({".gitignore": "data/\n", "data/x.md": "anew", "old.md": "anew"})
        (clean.root / "icon.ico").write_bytes(b"\x00anew\xff")
        subprocess.run(["git", "add", "--all"], cwd=clean.root, check=True)
        (clean.root / "old.md").unlink()
        assert clean.findings() == []

    def test_syntax_error_is_left_to_ruff(self, clean):
        clean.write({"web/broken.py": "def (:\n"})
        assert clean.findings() == []


class TestCommand:
    def run(self, root: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "scripts.lint"]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)

    def test_clean_repository_exits_with_0(self, clean):
        result = self.run(clean.root)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    def test_finding_exits_with_1_and_names_its_place(self, clean):
        clean.write({"docs/page.md": "\nSend it anew.\n"})
        result = self.run(clean.root)
        assert result.returncode == 1
        assert result.stdout == 'docs/page.md:2: retired word "anew", write: again\n'


class TestRetiredWords:
    def test_each_pattern_has_a_replacement(self):
        assert all(word.replacement for word in words.WORDS + words.NAMES)

    @pytest.mark.parametrize(
        "text",
        [
            "An outbox.",
            "initialize_outbox(app)",
            "class OutboxThread:",
            "the token lives for a minute",
            "the old pair is dead.",
            "Mail.objects(due=1)",
            "query = exactly(email)",
            "event=forgot user=-",
            'record("refresh_replayed")',
            "# A wrong password does not\n# mend itself.",
            "a newer hash, should it exist",
            "prints a fit JWT_SECRET_KEY",
            "This database is not fit.",
            "a client is told",
            "Whoever asks",
            "A database comes along, and",
            "RATELIMIT_FORGOT_PER_ADDRESS=3 per hour",
            "the request waits at the door",
            "Development's inbox",
            "the user who asks",
            "# Hashing stands in\n# line",
        ],
    )
    def test_retired_word_is_found(self, text):
        assert len(findings_of_text(text)) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "the deadline of a deadlock",
            "dead code, the dead-letter queue",
            "a livestream; a long-lived, live session; alive",
            "It fits in memory; a good fit; both must fit together; the benefit; an outfit",
            "PUT /api/movies/1: put the movie",
            "untold; a wishbone; a marshall",
            "amend the commit, recommend it",
            "What should it return? When should they retry?",
            "Look into your inbox.",
            "SentMail.objects(user=1)",
            "exactly one request",
            "event=forgotten",
            "LANE_ORDER, FORGOT_LIMIT, NEEDS_AXE",
            "a backdoor; understand; standalone; stands for",
            "the queue gives up after a day",
            "time elapsed; the lease expires",
            "Flask-Mail's Mail(app); a folded header",
            "a refresh token is rotated; transform: rotate(45deg)",
            "the benchmark's lines of code; the rest of it, there",
        ],
    )
    def test_standard_english_is_not_found(self, text):
        assert findings_of_text(text) == []

    def test_file_name_is_checked(self):
        (finding,) = findings_of_text("", path="templates/dead.html")
        assert "in the file's name" in finding.message

    @pytest.mark.parametrize(
        "text",
        [
            "answer = 1",
            "def f(**more): pass",
            "for each in x: pass",
            "import x as facts",
            "a._rest = 1",
        ],
    )
    def test_name_that_says_nothing_is_found(self, text):
        assert len(findings_of_text(text, path="web/x.py")) == 1

    def test_name_that_is_only_read_is_not_found(self):
        assert findings_of_text("f(library.rest, more=1)", path="web/x.py") == []


class TestExemptions:
    def test_old_setting_is_exempt_in_config_alone(self):
        text = 'OLD = "RATELIMIT_LOGIN_PER_ADDRESS"\n'
        assert findings_of_text(text, path="config.py") == []
        assert len(findings_of_text(text, path="web/limits.py")) == 1

    def test_config_is_exempt_for_old_settings_alone(self):
        assert len(findings_of_text('OLD = "MAILS_PER_ADDRESS"\n', path="config.py")) == 1

    def test_changelog_is_exempt_for_renames_alone(self):
        text = "- Metrics: outbox\n  → jobs\n- The outbox is fast.\n\nOutbox → queue\n"
        found = [finding.line for finding in findings_of_text(text, path="CHANGELOG.md")]
        assert found == [3, 5]

    def test_migrations_are_exempt(self):
        assert findings_of_text('"outbox"\n', path="database/migrations.py") == []


class TestFigures:
    TEXT = (
        '"""Docstring."""\n\n# comment\nA = """x\n\ny"""\n\n\n'
        '@f\ndef f():\n    """Doc."""\n\n    g()  # why\n'
    )

    def test_line_of_code_is_no_blank_comment_or_docstring(self):
        assert code_lines(SourceFile("a.py", self.TEXT)) == {4, 5, 6, 9, 10, 13}

    def test_function_length_excludes_decorators_and_docstring(self):
        assert function_lengths(SourceFile("a.py", self.TEXT)) == [(2, "a.py:10 f")]
