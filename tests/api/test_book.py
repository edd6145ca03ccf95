"""The documentation at /book: in development, where it is built."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from resources import book

SCRIPT = "theme()"
HASH = f"'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}'"
PAGE = f'<script>{SCRIPT}</script><script src="assets/theme.js"></script>'
FILES = {"index.html": PAGE, "concepts/jobs/index.html": "Jobs", "assets/theme.js": "0"}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return the folder where the site is looked for, which does not exist yet."""
    monkeypatch.setattr(book, "SITE", tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def built(site):
    """Build a small site."""
    (site.parent / "secret.txt").write_text("s3cr3t")
    for name, text in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


@pytest.fixture
def api(make_app, http):
    http.app = make_app(APP_ENV="development")
    return http


def policy(response):
    """Return the directives of the Content-Security-Policy by their names."""
    text = response.headers["Content-Security-Policy"]
    return dict(directive.split(maxsplit=1) for directive in text.split("; "))


@pytest.mark.usefixtures("built")
class TestBuilt:
    @pytest.mark.parametrize(
        ("path", "text", "content_type"),
        [
            ("/book/", PAGE, "text/html; charset=utf-8"),
            ("/book/index.html", PAGE, "text/html; charset=utf-8"),
            ("/book/concepts/jobs/", "Jobs", "text/html; charset=utf-8"),
            ("/book/assets/theme.js", "0", "text/javascript; charset=utf-8"),
        ],
    )
    def test_file_is_served(self, api, path, text, content_type):
        response = api.get(path)
        assert (response.status_code, response.text) == (200, text)
        assert response.headers["Content-Type"] == content_type

    @pytest.mark.parametrize("path", ["/book", "/book/concepts/jobs"])
    def test_folder_without_a_slash_redirects(self, api, path):
        response = api.get(path, headers={"Host": "evil.example"}, allow_redirects=False)
        assert (response.status_code, response.headers["Location"]) == (302, f"{path}/")

    def test_policy_allows_the_scripts_in_the_page_by_hash(self, api):
        directives = policy(api.get("/book/"))
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == f"{HASH} 'self'"
        assert directives["connect-src"] == "'self'"
        assert policy(api.get("/book/concepts/jobs/"))["script-src"] == "'self'"

    def test_unchanged_file_is_not_sent_again(self, api):
        for path in ("/book/", "/book/assets/theme.js"):
            response = api.get(path)
            again = api.get(path, headers={"If-None-Match": response.headers["ETag"]})
            assert (again.status_code, again.text) == (304, "")
            assert policy(again) == policy(response)

    @pytest.mark.parametrize(
        "path",
        [
            "../secret.txt",
            "concepts/../../secret.txt",
            "%2e%2e/secret.txt",
            "..%2fsecret.txt",
            "..%5csecret.txt",
            "/etc/passwd",
            "%2fetc/passwd",
            "%00",
            "x" * 300,
            "nothing",
            "assets/",
            "concepts/",
        ],
    )
    def test_what_is_no_file_of_the_site_is_not_found(self, api, path):
        response = api.app.test_client().get(f"/book/{path}")
        assert response.status_code == 404
        assert "s3cr3t" not in response.text

    def test_other_machines_are_served(self, api):
        environ = {"REMOTE_ADDR": "192.168.1.7", "HTTP_HOST": "dev.example:5000"}
        with api.app.test_client().get("/book/", environ_overrides=environ) as response:
            assert response.status_code == 200

    def test_welcome_page_links_to_it(self, api):
        links = re.findall(r'<li><a href="(.*?)"', api.get("/").text)
        assert "/book/" in links


@pytest.mark.usefixtures("site")
class TestNotBuilt:
    def test_page_says_how_to_build_it(self, api):
        for path in ("/book", "/book/", "/book/concepts/jobs/"):
            response = api.get(path)
            assert response.status_code == 404
            assert "The book is not built. Type: make docs" in response.text

    def test_welcome_page_does_not_link_to_it(self, api):
        assert "/book" not in api.get("/").text


@pytest.mark.usefixtures("built")
class TestProduction:
    @pytest.fixture
    def api(self, make_app, http):
        http.app = make_app(APP_ENV="production")
        return http

    def test_book_is_not_served(self, api):
        for path in ("/book", "/book/", "/book/concepts/jobs/", "/book/assets/theme.js"):
            response = api.get(path)
            assert response.status_code == 404
            assert response.json()["error"] == "NotFoundError"

    def test_welcome_page_does_not_link_to_it(self, api):
        assert "/book" not in api.get("/").text
