"""Links of the pages outside docs/ lead to files and headings that exist.

The strict build of the site checks those of docs/.
"""

import re

import pytest

from tests.support.documentation import TOP_PAGES, name_of
from tests.support.markdown import anchors, prose
from tests.support.processes import HOME

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
ROOT_PAGES = [page for page in TOP_PAGES if page.parent == HOME]


@pytest.mark.parametrize("page", ROOT_PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for path, anchor in LINK.findall(prose(page)):
        target = HOME / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
