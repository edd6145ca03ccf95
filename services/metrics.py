"""What is counted, for Prometheus. No label holds what a client chose, so their number is bounded.

Under gunicorn each worker counts in files of its own, in PROMETHEUS_MULTIPROC_DIR, and a scrape of
any of them adds up all, those of workers that have ended too: see gunicorn.conf.py.
"""

from prometheus_client import Counter, Histogram

REQUESTS = Counter(
    "movie_bag_http_requests",
    "Requests by method, route and status.",
    ["method", "route", "status"],
)
SECONDS = Histogram(
    "movie_bag_http_request_duration_seconds",
    "From the whole head of a request to its answer.",
    ["method", "route"],
)
EVENTS = Counter(
    "movie_bag_security_events",
    "Events of the security log: login, login_failed and so on.",
    ["event"],
)
MAILS = Counter("movie_bag_mails", "Mails that were sent, and given up.", ["outcome"])
SENT, GIVEN_UP = "sent", "given_up"


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request; route is its rule, never its path."""
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
