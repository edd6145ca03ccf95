"""demo/*.js is read by learners: short functions, each with a sentence above it."""

import re

import pytest

from tests.support.javascript import functions
from tests.support.processes import HOME

MODULES = sorted((HOME / "demo").glob("*.js"))
EACH_MODULE = pytest.mark.parametrize("module", MODULES, ids=[path.name for path in MODULES])
MAX_LINES = 15
MAX_COLUMNS = 100
SAMPLE = """import { send } from "./http.js";

const LIMIT = 2;

/** Do one thing. */
export const one = (thing) => send(thing);
const two = async () => {
  return 2;
};

/** Do three things. */
async function three() {

  const inner = () => 3;
}
export class Four {
}
"""


def test_functions_are_found():
    found = [(it.name, it.above[:3], it.length) for it in functions(SAMPLE)]
    assert found == [("one", "/**", 1), ("two", "exp", 3), ("three", "/**", 4), ("Four", "}", 2)]


@EACH_MODULE
class TestModule:
    def test_functions_are_short(self, module):
        lengths = {it.name: it.length for it in functions(module.read_text())}
        assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}

    def test_every_function_is_found(self, module):
        text = module.read_text()
        names = {it.name for it in functions(text)}
        assert set(re.findall(r"^(?:export )?(?:async )?function (\w+)", text, re.M)) <= names
        assert names or module.name == "app.js"

    def test_every_function_has_a_sentence_above_it(self, module):
        for function in functions(module.read_text()):
            assert re.fullmatch(r"/\*\* [A-Z].*\. \*/", function.above), function.name

    def test_lines_are_not_long(self, module):
        assert [line for line in module.read_text().splitlines() if len(line) > MAX_COLUMNS] == []

    def test_no_html_is_made_of_text(self, module):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b", module.read_text())
