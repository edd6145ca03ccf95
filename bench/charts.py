"""Charts of what was measured, as SVG: light or dark as the page that shows them.

Colour tells nothing alone: lines differ in dashes and marks too, bars in their filling.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from bench.rows import Row

WIDTH = 400
MARGIN = 12
BARS_END = 288
LEGEND_END = 64
ROW_HEIGHT = 56
LOAD_HEIGHT = 236
SIZE_HEIGHT = 44
# Between the labels of two values on the horizontal axis.
MIN_GAP = 44
STYLE = """
:root { color-scheme: light dark; --card: light-dark(#ffffff, #201d2b);
  --ink: light-dark(#1d1b26, #ecebf3); --faint: light-dark(#5a5769, #aeaabf);
  --ours: light-dark(#4a3aa7, #b3a7ff); --other: light-dark(#a04a00, #f2a65a); }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.small { font-size: 12px; fill: var(--faint); }
.title { font-weight: 600; font-size: 15px; }
.bar { fill: var(--ours); stroke: var(--ours); }
.missed { fill-opacity: .15; }
.information { fill: var(--faint); stroke: none; }
.target { fill: var(--other); stroke: var(--card); }
.limit { stroke: var(--ink); }
.grid { stroke: var(--faint); stroke-opacity: .4; }
.line { fill: none; stroke: var(--ours); stroke-width: 2; }
.mark { fill: var(--ours); stroke: var(--ours); stroke-width: 2; }
.other { stroke: var(--other); }
.mark.other { fill: var(--other); }
.line.dashed { stroke-dasharray: 5 4; }
.mark.dashed { fill: var(--card); }
"""
# How the lines of a panel look, in their order.
LOOKS = ["", "dashed", "other", "other dashed"]

# By the name of a line, pairs of a load or a size, and milliseconds.
Curves = dict[str, list[tuple[float, float]]]


@dataclass
class Axis:
    """Which coordinates values have, from low at start to high at end."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return the coordinate of a value."""
        scale = math.log10 if self.is_log else float
        low, high = scale(self.low), scale(self.high)
        share = (scale(value) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def ratios(rows: list[Row]) -> str:
    """Draw how much of its limit each figure is, so that a longer bar is always better."""
    shares = [_share(row, ratio) for row in rows for ratio in (row.ratio, row.target or row.ratio)]
    across = Axis(0, max(1.0, *shares), MARGIN, BARS_END)
    legend = [
        _text(MARGIN, 40, "Bar: the share of the limit (line), filled if the target", "small"),
        _text(MARGIN, 56, "(diamond) is reached. Times and memory are inverted.", "small"),
    ]
    bars = [_bar(row, LEGEND_END + number * ROW_HEIGHT, across) for number, row in enumerate(rows)]
    height = LEGEND_END + 8 + len(rows) * ROW_HEIGHT
    return _drawing("Movie-bag beside its limits", height, [*legend, *bars])


def _share(row: Row, ratio: float) -> float:
    return 1 / ratio if row.at_most else ratio


def _bar(row: Row, top: float, across: Axis) -> str:
    kind = {None: "information", True: "reached", False: "missed"}[row.reached]
    share, end = _share(row, row.ratio), across.place(_share(row, row.ratio))
    parts = [
        _text(MARGIN, top + 18, row.what),
        _text(MARGIN, top + 33, row.reference, "small"),
        f'<rect class="bar {kind}" x="{MARGIN}" y="{top + 40}" '
        f'width="{end - MARGIN:.1f}" height="9"/>',
        f'<path class="limit" d="M{across.place(1):.1f} {top + 37}v15"/>',
    ]
    figures = f"{share:.2f}"
    if row.target is not None:
        target = _share(row, row.target)
        figures += f" {'≥' if row.reached else '<'} {target:.2f}"
        place = f"M{across.place(target):.1f} {top + 38}"
        parts.append(f'<path class="target" d="{place}l5 6.5l-5 6.5l-5 -6.5z"/>')
    return "".join([*parts, _text(WIDTH - MARGIN, top + 49, figures, "", "end")])


def latency_against_load(requests: dict[str, Curves]) -> str:
    """Draw the milliseconds of each request against the requests per second, up to four lines."""
    values = [y for curves in requests.values() for curve in curves.values() for _, y in curve]
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    parts = [_legend(*entry) for entry in enumerate(next(iter(requests.values())))]
    for number, (request, curves) in enumerate(requests.items()):
        top = LEGEND_END + number * LOAD_HEIGHT
        loads = [x for curve in curves.values() for x, _ in curve]
        across = Axis(0, max(loads), 64, WIDTH - 24)
        down = Axis(10 ** decades[0], 10 ** decades[-1], top + 188, top + 46, is_log=True)
        parts.append(_text(MARGIN, top + 18, request))
        parts += [_grid_line(10**decade, down) for decade in decades]
        parts += _ticks(loads, across, top + 204)
        parts.append(_text(WIDTH - MARGIN, top + 220, "requests per second", "small", "end"))
        parts += [_line(*entry, across, down) for entry in enumerate(curves.values())]
    height = LEGEND_END + len(requests) * LOAD_HEIGHT
    return _drawing("Time of a response, against the load", height, parts)


def cost_against_size(points: dict[str, list[tuple[int, float]]]) -> str:
    """Draw the median milliseconds of each request against how many documents there are."""
    sizes = [size for curve in points.values() for size, _ in curve]
    across = Axis(min(sizes), max(sizes), 36, BARS_END - 36, is_log=True)
    parts = [_text(MARGIN, 40, "p50; each line has a scale of its own, from 0 ms", "small")]
    parts += _ticks(sizes, across, 60)
    for number, (request, curve) in enumerate(points.items()):
        top = LEGEND_END + number * SIZE_HEIGHT
        times = [milliseconds for _, milliseconds in curve]
        down = Axis(0, max(times), top + 36, top + 22)
        figures = " → ".join(
            f"{time:,.{1 if time < 100 else 0}f}" for time in (times[0], times[-1])
        )
        parts += [
            _text(MARGIN, top + 14, request.replace("`", "")),
            _grid_line(0, down),
            _line(0, curve, across, down),
        ]
        parts.append(_text(WIDTH - MARGIN, top + 32, f"{figures} ms", "", "end"))
    height = LEGEND_END + 8 + len(points) * SIZE_HEIGHT
    return _drawing("Time of a response, against the size", height, parts)


def _legend(number: int, name: str) -> str:
    x, y = MARGIN + 4 + number % 2 * 186, 40 + number // 2 * 18
    sample = Axis(0, 1, x, x + 24)
    return _line(number, [(0, 0), (1, 0)], sample, Axis(0, 1, y - 4, y)) + _text(x + 34, y, name)


def _grid_line(value: float, down: Axis) -> str:
    y = down.place(value)
    line = f'<path class="grid" d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}"/>'
    return line + (_text(MARGIN, y - 3, f"{value:,g} ms", "small") if value else "")


def _ticks(values: Iterable[float], across: Axis, y: float) -> Iterator[str]:
    """Yield labels of the values that have room for one, the last one first."""
    left = math.inf
    for value in sorted(set(values), reverse=True):
        if (x := across.place(value)) < left - MIN_GAP:
            left = x
            yield _text(x, y, f"{value:,.0f}", "small", "middle")


def _line(number: int, points: Iterable[tuple[float, float]], across: Axis, down: Axis) -> str:
    coordinates = [f"{across.place(x):.1f} {down.place(y):.1f}" for x, y in points]
    marks = "".join(f"M{place}m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0" for place in coordinates)
    look = LOOKS[number]
    return (
        f'<path class="line {look}" d="M{"L".join(coordinates)}"/>'
        f'<path class="mark {look}" d="{marks}"/>'
    )


def _text(x: float, y: float, text: str, look: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text class="{look}" {place} text-anchor="{anchor}">{escape(text)}</text>'


def _drawing(title: str, height: float, parts: Iterable[str]) -> str:
    """Return a file; it is a fifth larger than drawn, as large as the text around it."""
    size = f'width="{WIDTH * 1.2:.0f}" height="{height * 1.2:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" '
            'role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="var(--card)"/>',
            _text(MARGIN, 22, title, "title"),
            *parts,
            "</svg>\n",
        ]
    )
