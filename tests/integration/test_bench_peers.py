"""`make bench-peers`: how its tables are computed, and what it says if a program is missing."""

import math
import os
import subprocess

import pytest

from bench.peers import __main__ as bench
from bench.peers import installed, postgres
from bench.peers.measurements import memory
from bench.peers.products import Product
from bench.report import DOCS

ROWS = {"read": [[100, 50, math.nan], [90, 30, math.nan], [10, 10, math.nan]]}


def product(name: str) -> Product:
    about = ["1.0", "SQLite", "one process", "a thread", "on"]
    return Product(name, None, "GET /", "GET /", "GET /", "GET /", None, about)


class TestTables:
    def test_figures_are_medians_of_the_rounds(self):
        figures = bench.tables(ROWS, [product("Ours"), product("Fast"), product("Other")])
        assert figures[0] == "| per second | Ours | Fast | Other |"
        assert figures[2] == "| read | 90.0 | 30.0 | – |"

    def test_ratio_is_the_median_of_the_ratios_of_each_round(self):
        figures = bench.tables(ROWS, [product("Ours"), product("Fast"), product("Other")])
        assert figures[4] == "| Ours divided by | Fast | Other |"
        assert figures[6] == "| read | 2.00 | – |"

    def test_last_table_says_what_was_measured(self):
        figures = bench.tables(ROWS, [product("Ours"), product("Fast"), product("Other")])
        assert figures[-1] == "| Other | 1.0 | SQLite | one process | a thread | on |"

    def test_page_has_a_place_for_them(self):
        assert DOCS.read_text().count(bench.BEGIN) == 1


class TestMemory:
    def test_children_are_counted(self):
        with subprocess.Popen(["sleep", "60"]) as child:
            assert memory(os.getpid()) > memory(child.pid) > 0
            child.kill()


class TestPrograms:
    def test_missing_program_is_named(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(postgres, "PROGRAMS", "")
        with pytest.raises(SystemExit, match="npm, initdb, postgres.*apt-get install"):
            installed.require_programs()
