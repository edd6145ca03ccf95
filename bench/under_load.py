"""How long responses take while requests come at growing rates, which no slow response lowers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from bench.charts import Curves
from bench.load import Load, request, run
from bench.rows import GTHREAD, PAGE, VERIFY, Bench, verify_requests
from bench.servers import Server

# Of the requests that the bound responds to per second at most.
SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
CLIENTS = 32
SECONDS = 5.0
# At a low rate a connection is idle for longer than gunicorn keeps it by default.
KEEP_ALIVE = ("--keep-alive", "60")
FIGURES = [f"{name}, {figure}" for name in ("Movie-bag", GTHREAD) for figure in ("p50", "p99")]


@dataclass
class Point:
    """How many requests came per second, and the milliseconds of each of FIGURES."""

    request: str
    rate: float
    milliseconds: list[float]


def measure(bench: Bench) -> Iterator[Point]:
    """Verify access tokens, then list movies."""
    product = bench.start_product()
    page = requests.get(product.url + PAGE, timeout=10)
    bare = bench.start_bare(page.content, *KEEP_ALIVE)
    yield from _measure(VERIFY, product, verify_requests(bench), bare, "/one")
    yield from _measure(f"GET {PAGE}", product, [request("GET", PAGE)], bare, "/list")


def _measure(
    name: str, product: Server, sent: list[str], bare: Server, path: str
) -> Iterator[Point]:
    run(Load(product.port, sent))  # warms it up
    limit = run(Load(bare.port, [request("GET", path)])).rate
    for share in SHARES:
        rate = share * limit
        options: dict[str, Any] = {"clients": CLIENTS, "seconds": SECONDS, "rate": rate}
        ours = run(Load(product.port, sent, **options))
        theirs = run(Load(bare.port, [request("GET", path)], **options))
        yield Point(name, rate, [ours.p50, ours.p99, theirs.p50, theirs.p99])


def curves(points: list[Point]) -> dict[str, Curves]:
    """Return the curves of each request's chart."""
    found: dict[str, Curves] = {}
    for point in points:
        of_request = found.setdefault(point.request, {figure: [] for figure in FIGURES})
        for figure, milliseconds in zip(FIGURES, point.milliseconds, strict=True):
            of_request[figure].append((point.rate, milliseconds))
    return found
