"""What each product is measured with; a measurement returns one or two rows of the table."""

from pathlib import Path

from bench.load import Load, run, run_together
from bench.peers.products import Product
from bench.rows import CALM, MOVIES
from tests.support.processes import megabytes

LOGIN_SECONDS = 4.0
SECONDS = 2.0

Figures = dict[str, float]


def login(product: Product) -> Figures:
    """Log in; only hashing takes time."""
    return {"log in": _rate(product, product.login, LOGIN_SECONDS)}


def verify(product: Product) -> Figures:
    """Return the user of a token or of a session's cookie."""
    return {"verify a token": _rate(product, product.verify)}


def verify_beside_logins(product: Product) -> Figures:
    """Do so while 8 other clients log in, and count both."""
    sent, port = (product.verify, product.login), product.server.port
    reads, logins = run_together(*(Load(port, [it], seconds=LOGIN_SECONDS) for it in sent))
    other = "their logins meanwhile"
    return {"verify a token while 8 others log in": reads.rate, other: logins.rate}


def movies(product: Product) -> Figures:
    """List a page of movies by name."""
    return {f"list 20 of {MOVIES:,} movies": _rate(product, product.movies)}


def forgot(product: Product) -> Figures:
    """Request a link for the email of a user."""
    return _forgot(product, product.forgot, "forgotten password, known email")


def forgot_unknown(product: Product) -> Figures:
    """Request a link for an email that no user has."""
    return _forgot(product, product.forgot_unknown, "forgotten password, unknown email")


def _forgot(product: Product, sent: str | None, row: str) -> Figures:
    """Send a request by few clients for its own time, before many have emails queued."""
    if not sent:
        return {}
    p50 = run(Load(product.server.port, [sent], seconds=SECONDS, **CALM)).p50
    return {row: _rate(product, sent), f"{row}, p50 in ms": p50}


def _rate(product: Product, sent: str, seconds: float = SECONDS) -> float:
    """Return responses per second."""
    return run(Load(product.server.port, [sent], seconds=seconds)).rate


def memory(pid: int) -> float:
    """Return the memory of a process and its children in MB; what they share is counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return megabytes(pid) + sum(memory(int(child)) for child in children)
