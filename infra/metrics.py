"""The metrics for Prometheus. No label holds a value that a client chose: their number is bounded.

Each gunicorn worker counts in files of its own, in PROMETHEUS_MULTIPROC_DIR, and a scrape of any
worker adds up all, those that have ended included (gunicorn.conf.py).
"""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

REQUESTS = Counter(
    "movie_bag_http_requests",
    "Requests by method, route and status.",
    ["method", "route", "status"],
)
SECONDS = Histogram(
    "movie_bag_http_request_duration_seconds",
    "From the complete request head to the response.",
    ["method", "route"],
)
EVENTS = Counter(
    "movie_bag_security_events",
    "Events of the security log: login, login_failed and so on.",
    ["event"],
)
DONE = "done"
FAILED = "failed"
JOBS = Counter("movie_bag_jobs", "Jobs by kind and outcome: done or failed.", ["kind", "outcome"])
DATABASE = "database"
HASHING_POOL = "hashing_pool"
BREACHED_PASSWORDS = "breached_passwords"
CAUSES = (DATABASE, HASHING_POOL, BREACHED_PASSWORDS)
UNAVAILABLE = Counter(
    "movie_bag_unavailable",
    "By cause: the database (a failed read or write), a full hashing pool, or the list of breached"
    " passwords.",
    ["cause"],
)
# Those that an alert may look at.
STATUSES = (200, 400, 401, 403, 404, 429, 500, 503)


def start_at_zero(job_kinds: Iterable[str], routes: Iterable[tuple[str, str]]) -> None:
    """Create the counters of all labels that are known: the first 1 of a new one is no increase."""
    for kind in job_kinds:
        for outcome in (DONE, FAILED):
            JOBS.labels(kind, outcome)
    for cause in CAUSES:
        UNAVAILABLE.labels(cause)
    for method, route in routes:
        SECONDS.labels(method, route)
        for status in STATUSES:
            REQUESTS.labels(method, route, status)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request; route is its URL rule, never its path."""
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
