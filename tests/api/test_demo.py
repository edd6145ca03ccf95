"""The demo at /demo: in development alone, under a strict Content-Security-Policy."""

import re

import pytest

from tests.support.processes import HOME

FILES = sorted(path.name for path in (HOME / "demo").iterdir())
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "data: 'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
SCRIPT = '<script type="module" src="/demo/app.js"></script>'
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def policy(response):
    """Return the directives of the Content-Security-Policy by their names."""
    text = response.headers["Content-Security-Policy"]
    return dict(directive.split(maxsplit=1) for directive in text.split("; "))


def linked_from_welcome(api):
    return re.findall(r'<li><a href="(.*?)"', api.get("/").text)


class TestDevelopment:
    @pytest.fixture
    def api(self, make_app, http):
        http.app = make_app(APP_ENV="development")
        return http

    @pytest.mark.parametrize("path", ["/demo", "/demo/"])
    def test_page_is_served(self, api, path):
        response = api.get(path)
        assert (response.status_code, response.encoding) == (200, "utf-8")
        assert response.text == (HOME / "demo/index.html").read_text()

    @pytest.mark.parametrize("name", FILES)
    def test_file_is_served_under_the_policy(self, api, name):
        response = api.get(f"/demo/{name}")
        assert response.status_code == 200
        content_type = response.headers["Content-Type"]
        assert content_type == f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8"
        assert policy(response) == POLICY

    def test_page_has_no_inline_script_or_style(self, api):
        text = api.get("/demo").text
        assert (
            re.findall(r"<script(?! type=\"module\" src=\"/demo/\w+\.js\"></script>)", text) == []
        )
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", text) == []

    def test_every_label_has_its_field(self, api):
        text = api.get("/demo").text
        fields = set(re.findall(r'<(?:input|select) id="([\w-]+)"', text))
        assert fields
        assert set(re.findall(r'<label for="([\w-]+)"', text)) == fields

    @pytest.mark.parametrize("path", ["../config.py", "%2e%2e/config.py", "/etc/passwd", "nothing"])
    def test_what_is_no_file_of_it_is_not_found(self, api, path):
        assert api.app.test_client().get(f"/demo/{path}").status_code == 404

    def test_unchanged_file_is_not_sent_again(self, api):
        headers = {"If-None-Match": api.get("/demo/app.js").headers["ETag"]}
        assert api.get("/demo/app.js", headers=headers).status_code == 304

    def test_welcome_page_links_to_its_public_url(self, api):
        assert f"{api.app.config['PUBLIC_URL']}/demo" in linked_from_welcome(api)


class TestProduction:
    def test_it_is_not_served(self, api):
        for path in ("/demo", "/demo/", "/demo/index.html", "/demo/app.js"):
            response = api.get(path)
            assert (response.status_code, response.json()["error"]) == (404, "NotFoundError")

    def test_welcome_page_does_not_link_to_it(self, api):
        assert not [url for url in linked_from_welcome(api) if "demo" in url]
