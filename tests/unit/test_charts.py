"""The charts of docs/performance.md: well-formed, complete, and within their drawing."""

import re
from xml.etree import ElementTree

import pytest

from bench import charts
from bench.report import DOCS
from bench.rows import Row

ROWS = [
    Row("GET /one", "60/s", "Flask & <one>", "80/s", 0.75, 0.95),
    Row("GET /two", "3 ms", "Flask", "2 ms", 1.5, 2, at_most=True),
    Row("GET /three", "90/s", "Flask", "80/s", 1.12, None),
]
LOADS = [(100.0, 2.0), (200.0, 3.0), (205.0, 30.0), (900.0, 1500.0)]
CURVES = {name: LOADS for name in ("ours, p50", "ours, p99", "Flask, p50", "Flask, p99")}
SIZES = {
    "GET /one": [(1_000, 4.0), (1_000_000, 4.26)],
    "`flask <q>`": [(1_000, 4.0), (10_000, 400.0)],
}
DRAWINGS = {
    "ratios": charts.ratios(ROWS),
    "load": charts.latency_against_load({"GET /one": CURVES, "GET /two": CURVES}),
    "size": charts.cost_against_size(SIZES),
}


def elements(drawing, tag):
    """Return the elements of a drawing with a tag."""
    return ElementTree.fromstring(drawing).findall(f".//{{http://www.w3.org/2000/svg}}{tag}")


def texts(drawing):
    return [element.text for element in elements(drawing, "text")]


@pytest.mark.parametrize("drawing", DRAWINGS.values(), ids=DRAWINGS)
class TestDrawing:
    def test_it_is_an_image_with_a_title(self, drawing):
        root = ElementTree.fromstring(drawing)
        assert root.attrib["role"] == "img"
        (title,) = elements(drawing, "title")
        assert root.attrib["aria-labelledby"] == title.attrib["id"]
        assert title.text in texts(drawing)

    def test_everything_is_within_it(self, drawing):
        _, _, width, height = map(float, ElementTree.fromstring(drawing).attrib["viewBox"].split())
        for element in elements(drawing, "text"):
            assert 0 < float(element.attrib["x"]) < width
            assert 0 < float(element.attrib["y"]) < height
        for element in elements(drawing, "path"):
            for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", element.attrib["d"]):
                assert 0 < float(x) < width and 0 < float(y) < height

    def test_it_is_narrow_enough_for_a_phone(self, drawing):
        assert float(ElementTree.fromstring(drawing).attrib["viewBox"].split()[2]) <= 400


class TestRatios:
    def test_every_row_has_its_names_and_figures(self):
        labels = texts(DRAWINGS["ratios"])
        for row in ROWS:
            assert row.what in labels and row.reference in labels
        assert [text for text in labels if re.match(r"\d", text)] == [
            "0.75 < 0.95",
            "0.67 ≥ 0.50",
            "1.12",
        ]

    def test_bar_is_as_long_as_the_share_of_the_limit(self):
        bars = [float(bar.attrib["width"]) for bar in elements(DRAWINGS["ratios"], "rect")[1:]]
        assert [bar / bars[2] for bar in bars] == pytest.approx(
            [0.75 / 1.12, 0.67 / 1.12, 1], abs=0.01
        )

    def test_bar_shows_whether_the_target_is_reached(self):
        kinds = [bar.attrib["class"] for bar in elements(DRAWINGS["ratios"], "rect")[1:]]
        assert kinds == ["bar missed", "bar reached", "bar information"]


class TestLatencyAgainstLoad:
    def test_requests_and_lines_are_named(self):
        labels = texts(DRAWINGS["load"])
        assert {"GET /one", "GET /two", *CURVES} <= set(labels)
        assert {"1 ms", "10 ms", "100 ms", "1,000 ms", "10,000 ms"} <= set(labels)

    def test_labels_of_loads_do_not_overlap(self):
        labels = texts(DRAWINGS["load"])
        assert "205" in labels and "200" not in labels

    def test_lines_look_different(self):
        lines = elements(DRAWINGS["load"], "path")
        assert len({line.attrib["class"] for line in lines if "line" in line.attrib["class"]}) == 4


class TestCostAgainstSize:
    def test_requests_sizes_and_times_are_named(self):
        labels = texts(DRAWINGS["size"])
        assert {"GET /one", "flask <q>", "1,000", "10,000", "1,000,000"} <= set(labels)
        assert {"4.0 → 4.3 ms", "4.0 → 400 ms"} <= set(labels)


def test_page_shows_the_charts_with_a_description():
    images = re.findall(r"!\[([^]]+)\]\((images/performance-\w+\.svg)\)", DOCS.read_text())
    assert len(images) == len(list((DOCS.parent / "images").glob("performance-*.svg")))
    for description, path in images:
        assert len(description) > 20
        ElementTree.parse(DOCS.parent / path)
