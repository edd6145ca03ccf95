"""The page of the metrics: counters of infra/metrics.py, gauges of services/health_service.py."""

from collections.abc import Iterable, Iterator

from prometheus_client import Counter, Histogram

from app import JOB_HANDLERS
from infra import metrics
from scripts.reference import markdown
from scripts.reference.markdown import code
from services.event_service import COUNTED
from services.health_service import PROCESS_GAUGES, QUEUE_GAUGES
from services.stored_gauges import STORED_GAUGES

ABOUT = """Every metric that Movie-bag exposes for Prometheus, at `/metrics` of
[`METRICS_PORT`](settings.md#metrics_port); without that setting there are none."""
SOURCE = "`infra/metrics.py`, `services/health_service.py` and `services/stored_gauges.py`"
COUNTERS = """They count from the start of the process. Under gunicorn a scrape of any worker has
the sum of all, those that have ended included. Labels that are known in advance begin at 0, so
that `increase()` sees the first of its kind too. No label holds a value that a client chose."""
GAUGES = """They are read at each scrape, by the process that is scraped; don't add them up over
processes. Those of the queue and of the database are missing while it is away."""
SEE_ALSO = """`python run.py` also exposes the metrics that prometheus_client has of every Python
process (`python_info`, `process_cpu_seconds_total` and so on); gunicorn does not.
[Alerts](../deployment/alerts.md) says what to do about each."""
NAMES = {Counter: "counter", Histogram: "histogram"}
VALUES: dict[str, Iterable[object]] = {
    "event": sorted(COUNTED),
    "kind": JOB_HANDLERS,
    "outcome": (metrics.DONE, metrics.FAILED),
    "cause": metrics.CAUSES,
}
SOURCES = {
    "the queue": QUEUE_GAUGES,
    "the database": STORED_GAUGES,
    "the process": PROCESS_GAUGES,
}
OPEN_VALUES = {
    "method": "the HTTP method, `other` for one that is unknown",
    "route": "the URL rule, such as `/api/movies/<movie_id>`, never a path; `unknown` for none",
    "status": "the status of the response",
}


def render() -> str:
    """Return the page."""
    rows = [*_families()]
    counted = [
        [name, kind, ", ".join(map(code, labels)), about] for name, kind, labels, about in rows
    ]
    labels = list(dict.fromkeys(label for _, _, labels, _ in rows for label in labels))
    parts = [
        "## Counters and histograms",
        markdown.paragraph(COUNTERS),
        markdown.table(["metric", "type", "labels", "meaning"], counted),
        "## Labels",
        markdown.table(["label", "values"], [[code(it), values(it)] for it in labels]),
        "## Gauges",
        markdown.paragraph(GAUGES),
        markdown.table(["metric", "read from", "meaning"], _gauges()),
        markdown.paragraph(SEE_ALSO),
    ]
    return markdown.page("Metrics", ABOUT, SOURCE, parts)


def _families() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Yield name, type, labels and meaning of each metric."""
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram):
            (family,) = metric.describe()
            suffix = "_total" if isinstance(metric, Counter) else ""
            name = code(family.name + suffix)
            yield name, NAMES[type(metric)], metric._labelnames, family.documentation


def metric_names() -> Iterator[str]:
    """Yield the name of each metric as a query has it."""
    for name, kind, *_ in _families():
        suffixes = ("_bucket", "_sum", "_count") if kind == NAMES[Histogram] else ("",)
        yield from (name.strip("`") + suffix for suffix in suffixes)
    yield from (name for gauges in SOURCES.values() for name in gauges)


def values(label: str) -> str:
    """Return in words what a label may be; raises KeyError for one that is not described."""
    return markdown.join(VALUES[label]) if label in VALUES else OPEN_VALUES[label]


def _gauges() -> Iterator[list[str]]:
    for source, gauges in SOURCES.items():
        yield from ([code(name), source, about] for name, about in gauges.items())
