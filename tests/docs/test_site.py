"""The site: its build, its pages, and how a browser shows them, alone and at /book."""

import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import expect

from resources import book
from tests.support.browser import NEEDS_CHROMIUM, chromium, page_opener
from tests.support.documentation import DOCS
from tests.support.markdown import code_blocks
from tests.support.processes import HOME

MAX_BUILD_SECONDS = 10
MAX_PAGE_BYTES = 300_000
SAMPLE = """# Sample

A quagga, and a line of code that is wider than a phone:

```python title="services/sample.py"
wider = "than a phone" + "than a phone" + "than a phone" + "than a phone" + "than a phone"
```

| setting | file |
| --- | --- |
| `RATELIMIT_PASSWORD_PER_USER` | `tests/integration/test_database_commands.py` |

```mermaid
sequenceDiagram
  Client->>API: POST /api/auth/forgot
  API->>Database: insert a job
  Worker->>Database: claim the job
  Worker->>SMTP server: send the mail
```

```mermaid
flowchart LR
  queued --> sent
```

```mermaid
stateDiagram-v2
  queued --> failed
```
"""
DIAGRAMS_IN_SAMPLE = 3


class Elements(HTMLParser):
    """The elements of a page that name a URL: pairs of a tag and the URL."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.urls: list[tuple[str, str]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        self.urls += [(tag, value) for name, value in attrs if name in ("src", "href") and value]


def build(folder: Path, text: str = SAMPLE) -> "subprocess.CompletedProcess[str]":
    """Build the site in a copy that has one page more."""
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(HOME / "zensical.toml", folder)
    (folder / "docs/sample.md").write_text(text)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, float]:
    """Build the site; return its folder, and the processor time that it took."""
    folder = tmp_path_factory.mktemp("copy")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = build(folder)
    assert result.returncode == 0, result.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return folder / "site", seconds


@pytest.fixture(scope="module")
def site(built) -> Path:
    """Return the folder of the site."""
    return built[0]


def pages(site):
    """Return each page except 404.html, whose links are absolute."""
    return sorted(site.rglob("index.html"))


def linked_files(page):
    """Yield the file that each link of a page to its own site leads to."""
    for _, url in Elements(page).urls:
        parts = urlsplit(url)
        if not parts.scheme and parts.path:
            file = (page.parent / unquote(parts.path)).resolve()
            yield file / "index.html" if file.is_dir() else file


class TestBuild:
    def test_it_takes_little_processor_time(self, built):
        assert built[1] < MAX_BUILD_SECONDS

    def test_broken_links_fail_it(self, tmp_path):
        result = build(tmp_path, "# Sample\n\n[a](nothing.md), [b](operations.md#nothing)\n")
        assert result.returncode != 0
        assert re.search(r"page does not exist[^\n]*\n.*sample\.md", result.stderr, re.DOTALL)
        assert "anchor does not exist" in result.stderr


class TestPages:
    def test_page_is_small_without_the_theme(self, site):
        sizes = {str(page.relative_to(site)): page.stat().st_size for page in pages(site)}
        assert {path: size for path, size in sizes.items() if size >= MAX_PAGE_BYTES} == {}

    def test_nothing_is_loaded_from_another_host(self, site):
        for page in site.rglob("*.html"):
            loaded = [url for tag, url in Elements(page).urls if tag != "a"]
            assert loaded
            assert [url for url in loaded if re.match(r"(\w+:)?//", url)] == []
        for sheet in site.rglob("*.css"):
            assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()) == []

    def test_every_link_leads_to_a_file_of_the_site(self, site):
        for page in pages(site):
            for file in linked_files(page):
                assert file.is_file() and file.is_relative_to(site), (page, file)

    def test_every_page_is_reached_from_the_home(self, site):
        reached, found = set(), {site / "index.html"}
        while found - reached:
            page = (found - reached).pop()
            reached.add(page)
            found |= {file for file in linked_files(page) if file.name == "index.html"}
        assert set(pages(site)) - reached == {site / "sample/index.html"}

    def test_mermaid_is_loaded_only_by_pages_with_a_diagram(self, site):
        with_diagrams = {url_path(path) for path in diagrams()} | {"sample/"}
        for page in pages(site):
            path = str(page.relative_to(site)).removesuffix("index.html")
            assert ("mermaid.tiny.js" in page.read_text()) == (path in with_diagrams), path

    def test_icon_is_the_one_of_the_product(self):
        assert (DOCS / "assets/icon.svg").read_text() == (HOME / "static/icon.svg").read_text()


def diagrams():
    """Return the diagrams of each Markdown page that has any."""
    found = {
        path: [block for block in code_blocks(path) if block.language == "mermaid"]
        for path in sorted(DOCS.rglob("*.md"))
    }
    return {path: blocks for path, blocks in found.items() if blocks}


def url_path(path: Path) -> str:
    """Return the path in the site of a Markdown page."""
    folder = str(path.relative_to(DOCS).with_suffix("")).removesuffix("index")
    return folder if folder.endswith("/") or not folder else f"{folder}/"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def at_book(site, http, make_app, monkeypatch) -> str:
    """Serve the site by the product, with its Content-Security-Policy; return the URL."""
    monkeypatch.setattr(book, "SITE", site)
    http.app = make_app(APP_ENV="development")
    return f"{http.url}/book"


@pytest.fixture
def alone(site) -> Iterator[str]:
    """Serve the site as any web server does; return the URL."""
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["at_book", "alone"])
def url(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def open_page(browser, url):
    """Open pages; at the end none may have had an error or a request to another host."""
    with page_opener(browser, url) as open_page:
        yield lambda path, **options: open_page(f"{url}/{path}", **options)


@NEEDS_CHROMIUM
class TestBrowser:
    def test_diagrams_of_each_kind_are_drawn(self, open_page):
        page = open_page("sample/")
        expect(page.locator("div.mermaid")).to_have_count(DIAGRAMS_IN_SAMPLE)
        expect(page.locator("pre.mermaid")).to_have_count(0)
        for diagram in page.locator("div.mermaid").all():
            assert diagram.bounding_box()["height"] > 50

    def test_search_finds_a_word(self, open_page):
        page = open_page("")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("combobox", name="Search").fill("quagga")
        page.get_by_role("option", name="Sample").click()
        expect(page.locator("mark")).to_have_text("quagga")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sample")

    @pytest.mark.parametrize("url", ["at_book"], indirect=True)
    def test_scheme_follows_the_system_until_it_is_chosen(self, open_page):
        page = open_page("", color_scheme="dark")
        body = page.locator("body")
        expect(body).to_have_attribute("data-md-color-scheme", "slate")
        page.get_by_title("Switch to light mode").click()
        expect(body).to_have_attribute("data-md-color-scheme", "default")
        page.reload()
        expect(body).to_have_attribute("data-md-color-scheme", "default")

    def test_charts_follow_the_scheme_that_is_chosen(self, open_page):
        high = {"width": 1200, "height": 3000}  # so that the chart is not below the page's header
        page = open_page("performance/", color_scheme="dark", viewport=high)
        chart = page.locator("img[src*=performance-ratios]")
        dark = chart.screenshot()
        page.get_by_title("Switch to light mode").click()
        light = chart.screenshot()
        page.emulate_media(color_scheme="light")
        assert light == chart.screenshot() != dark

    @pytest.mark.parametrize("url", ["alone"], indirect=True)
    def test_page_fits_a_phone(self, open_page):
        page = open_page("sample/", viewport={"width": 400, "height": 800})
        expect(page.locator("div.mermaid")).to_have_count(DIAGRAMS_IN_SAMPLE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        wide = page.locator("div.mermaid").first
        assert wide.evaluate("element => element.scrollWidth > element.clientWidth")


@NEEDS_CHROMIUM
class TestDiagrams:
    @pytest.fixture
    def parse_error(self, browser):
        """Return a function that returns why Mermaid can't parse a diagram, or None."""
        page = browser.new_page()
        page.add_script_tag(path=DOCS / "assets/mermaid.tiny.js")
        script = "source => mermaid.parse(source).then(() => null, error => error.message)"
        yield lambda source: page.evaluate(script, source)
        page.close()

    def test_each_one_in_docs_is_parsed(self, parse_error):
        for path, blocks in diagrams().items():
            for block in blocks:
                assert parse_error(block.source) is None, f"{path}:{block.line}"

    def test_broken_one_is_an_error(self, parse_error):
        assert "Parse error on line 2" in parse_error("sequenceDiagram\n  Client tells the API\n")

    @pytest.mark.parametrize("url", ["at_book"], indirect=True)
    def test_each_one_in_docs_is_drawn(self, open_page, url):
        page = open_page("")
        for path, blocks in diagrams().items():
            page.goto(f"{url}/{url_path(path)}")
            expect(page.locator("div.mermaid")).to_have_count(len(blocks))
            expect(page.locator("pre.mermaid")).to_have_count(0)
