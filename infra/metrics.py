"""The metrics for Prometheus. No label holds a value that a client chose: their number is bounded.

Each gunicorn worker counts in files of its own, in PROMETHEUS_MULTIPROC_DIR, and a scrape of any
worker adds up all, those that have ended included (gunicorn.conf.py).
"""

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
JOBS = Counter("movie_bag_jobs", "Jobs by kind and outcome: done or failed.", ["kind", "outcome"])


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request; route is its URL rule, never its path."""
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
