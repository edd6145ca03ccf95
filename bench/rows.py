"""What is measured: each row is a figure of ours, next to what bounds it in the same run."""

import base64
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from smtplib import SMTP
from typing import Any

import bcrypt
import requests
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from flask import Flask
from pymongo import MongoClient

from app import create_app
from bench import servers
from bench.load import TOKEN, Load, request, run
from bench.servers import Server
from database.embedded.server import EmbeddedDatabase
from database.models import Job, User
from infra.password_hashing import CORES
from private_keys import to_pem
from services import auth_service, movie_service, session_service
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from tests.support.processes import free_port

PASSWORD = "correct horse battery"
CLIENTS = 8
SESSIONS = 20
MOVIES = 100_000
BATCH_SIZE = 1_000
ROUNDS = 3
BCRYPT_SECONDS = 4.0
FORGOTS = 10_000
WARM_FORGOTS = 500
EMAILS = 600
FIRST_EMAILS = 100
# About a hundred requests per second: how long one takes is visible only where none is queued.
CALM: dict[str, Any] = {"clients": 2, "pause": 0.018}
PAGE = "/api/movies?limit=20"
FORGOT = [
    request("POST", "/api/auth/forgot", {"email": f"nobody-{number}@example.com"})
    for number in range(1000)
]


@dataclass
class Row:
    """A line of the table; each figure is the median of a few rounds, the ratio too."""

    what: str
    ours: str
    reference: str
    theirs: str
    ratio: str
    target: str
    reached: bool


class Bench:
    """An embedded database with users and movies, and the servers that use it."""

    def __init__(self, folder: Path) -> None:
        """Fill the database; folder has its files and the logs of the servers."""
        self.folder = folder
        self._embedded = EmbeddedDatabase(folder)
        self._uri = self._embedded.start()
        self._servers: list[Server] = []
        self.sink = self.stop_later(servers.start_sink(folder))
        self.app = self.create_app()
        with self.app.app_context():
            self.users = [_create_user(f"user-{number}@example.com") for number in range(CLIENTS)]
            _add_movies(str(self.users[0].id))

    def create_app(self, **changed: Any) -> Flask:
        """Return the product in this process, with settings of the servers."""
        settings = {**servers.SETTINGS, "MAIL_PORT": self.sink.port, "DATA_DIR": str(self.folder)}
        return create_app({**settings, "MONGODB_URI": self.uri(), **changed})

    def uri(self, name: str = "bench") -> str:
        """Return the URI of a database of the embedded server."""
        return self._uri.replace("/?", f"/{name}?")

    def stop_later(self, server: Server) -> Server:
        """Stop server at the end."""
        self._servers.append(server)
        return server

    def start_product(self, database: str = "bench", **settings: Any) -> Server:
        """Serve the product."""
        settings = {"MAIL_PORT": self.sink.port, "MONGODB_URI": self.uri(database), **settings}
        return self.stop_later(servers.start_product(self.folder, **settings))

    def start_bare(self, page: bytes) -> Server:
        """Serve the bounds."""
        (self.folder / "page").write_bytes(page)
        ids = ",".join(str(user.id) for user in self.users)
        env = {"USER_IDS": ids, "LIST": self.folder / "page", "MONGODB_URI": self.uri()}
        return self.stop_later(servers.start_bare(self.folder, **env))

    def tokens(self, name: str, app: Flask | None = None) -> list[str]:
        """Create a session for each user; return its access tokens or its refresh tokens."""
        with (app or self.app).app_context():
            return [
                session_service.create(user, "bench", session_service.BY_PASSWORD)[name]
                for user in self.users
            ]

    def wait_for_emails(self) -> None:
        """Wait until every email is sent."""
        with self.app.app_context():
            while Job.objects.first():
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop the servers and the database."""
        for server in reversed(self._servers):
            server.stop()
        self._embedded.stop()


def _create_user(email: str) -> User:
    """Sign a user up, and create as many sessions as a user can have."""
    user = auth_service.sign_up(email, PASSWORD)
    for _ in range(SESSIONS):
        session_service.create(user, "bench", session_service.BY_PASSWORD)
    return user


def _add_movies(owner_id: str) -> None:
    lists = {"casts": ["Ada Lovelace", "Mary Shelley"], "genres": ["Drama", "Crime"]}
    for begin in range(0, MOVIES, BATCH_SIZE):
        numbers = range(begin, begin + BATCH_SIZE)
        movie_service.add_new(owner_id, [{"name": _movie_name(n), **lists} for n in numbers])


def _movie_name(number: int) -> str:
    return f"A film with the number {number:06}"


def measure(bench: Bench) -> Iterator[Row]:
    """Measure everything, row by row."""
    product = bench.start_product()
    page = requests.get(product.url + PAGE, timeout=10)
    bare = bench.start_bare(page.content)
    yield verify(bench, product, bare)
    yield verify_by_public_key(bench, product)
    yield list_movies(product, bare)
    yield refresh(bench, product, bare)
    yield forgot(bench, product, bare)
    yield forgot_with_slow_smtp(bench, product)
    yield job_queue(bench, product)
    yield memory(bench)
    yield depth(bench, product)
    yield from workers(bench, product)
    yield start()
    yield login(bench, product)


def verify(bench: Bench, product: Server, bare: Server) -> Row:
    """Verify access tokens of users with 20 sessions."""
    sent = _verify_requests(bench)
    figures = compare(
        lambda: run(Load(product.port, sent)).rate,
        lambda: run(Load(bare.port, [request("GET", "/one")])).rate,
    )
    return _at_least("GET /api/auth/verify", "Flask, one find_one by _id", figures, 0.75)


def verify_by_public_key(bench: Bench, product: Server) -> Row:
    """Verify access tokens that a private key has signed: once in each process, as the others."""
    settings = {"JWT_PRIVATE_KEYS": to_pem(generate_private_key(SECP256R1())).decode()}
    other = bench.start_product(**settings)
    signed = _verify_requests(bench, bench.create_app(**settings))
    sent = _verify_requests(bench)
    figures = compare(
        lambda: run(Load(other.port, signed)).rate, lambda: run(Load(product.port, sent)).rate
    )
    other.stop()
    return _at_least("GET /api/auth/verify, ES256", "HS256", figures, 0.9)


def _verify_requests(bench: Bench, app: Flask | None = None) -> list[str]:
    """Return a request of each user."""
    path = "/api/auth/verify"
    tokens = bench.tokens("token", app)
    return [request("GET", path, Authorization=f"Bearer {token}") for token in tokens]


def list_movies(product: Server, bare: Server) -> Row:
    """List a page of 20."""
    figures = compare(
        lambda: run(Load(product.port, [request("GET", PAGE)])).rate,
        lambda: run(Load(bare.port, [request("GET", "/list")])).rate,
    )
    return _at_least(f"GET {PAGE}", "Flask, the same find and bytes", figures, 0.8)


def refresh(bench: Bench, product: Server, bare: Server) -> Row:
    """Exchange the refresh token of each client again and again."""
    sent = [request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")]
    figures = compare(
        lambda: run(Load(product.port, sent, tokens=bench.tokens("refresh_token"))).rate,
        lambda: run(Load(bare.port, [request("POST", "/refresh")])).rate,
    )
    reference = "Flask, find_one_and_update, two HS256"
    return _at_least("POST /api/auth/refresh", reference, figures, 0.6)


def forgot(bench: Bench, product: Server, bare: Server) -> Row:
    """Request links for unknown emails."""
    figures = compare(
        lambda: run(Load(product.port, FORGOT, **CALM)).p50,
        lambda: run(Load(bare.port, [request("POST", "/forgot")], **CALM)).p50,
    )
    bench.wait_for_emails()
    return _at_most("POST /api/auth/forgot, p50", "Flask, one insert", figures, 1.5, "ms")


def forgot_with_slow_smtp(bench: Bench, product: Server) -> Row:
    """Request links while the mail server takes 3 s per email, which slows no response."""
    sink = bench.stop_later(servers.start_sink(bench.folder, seconds_per_email=3))
    slow = bench.start_product("slow", MAIL_PORT=sink.port)
    sent = [request("POST", "/api/auth/forgot", {"email": user.email}) for user in bench.users]
    requests.get(f"{slow.url}/healthz", timeout=30)  # now its workers have seen an empty database
    with MongoClient[dict[str, Any]](bench.uri()) as client:
        client["slow"].user.insert_many(client["bench"].user.find())
    figures = compare(
        lambda: run(Load(slow.port, sent, **CALM)).p95,
        lambda: run(Load(product.port, sent, **CALM)).p95,
    )
    slow.stop()
    what = "POST /api/auth/forgot, p95, SMTP taking 3 s per email"
    return _at_most(what, "the same, SMTP fast", figures, 1.2, "ms")


def job_queue(bench: Bench, product: Server) -> Row:
    """Send queued emails with two workers; smtplib sends the same over one connection."""
    bench.wait_for_emails()
    before = len(bench.sink.log_lines())
    with bench.app.app_context():
        Job.objects.insert([_reset_email(bench.users[n % CLIENTS]) for n in range(EMAILS)])
    run(Load(product.port, FORGOT, count=CLIENTS))  # wakes both workers
    bench.wait_for_emails()
    sent = bench.sink.log_lines()[before:]
    ours = (EMAILS - FIRST_EMAILS) / (sent[EMAILS - 1][0] - sent[FIRST_EMAILS - 1][0])
    theirs = _smtplib_rate(bench.sink.port, [content for _, content in sent[:EMAILS]])
    reference = "smtplib, the same bytes, one connection"
    return _at_least("Emails out of the job queue", reference, (ours, theirs, ours / theirs), 0.5)


def _reset_email(user: User) -> Job:
    now = time.time()
    arguments = {"mail": RESET_PASSWORD, "email": user.email}
    return Job(kind=SEND_EMAIL, arguments=arguments, created_at=now, run_at=now)


def _smtplib_rate(port: int, emails: list[str]) -> float:
    begin = time.perf_counter()
    with SMTP("127.0.0.1", port) as smtp:
        for content in emails:
            smtp.sendmail("support@movie-bag.com", ["someone@example.com"], content.encode())
    return len(emails) / (time.perf_counter() - begin)


def memory(bench: Bench) -> Row:
    """Queue many emails; a worker keeps none of them in memory."""
    server = bench.start_product("memory", MAIL_PORT=free_port(), workers=1)
    run(Load(server.port, FORGOT, count=WARM_FORGOTS))
    before = _megabytes(server.worker())
    run(Load(server.port, FORGOT, count=FORGOTS))
    after = _megabytes(server.worker())
    server.stop()
    return Row(
        f"Memory of a worker after {FORGOTS:,} forgots, SMTP down",
        f"{after:.1f} MB",
        f"after {WARM_FORGOTS}",
        f"{before:.1f} MB",
        f"{after - before:+.1f} MB",
        "< +10 MB",
        after - before < 10,
    )


def _megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def depth(bench: Bench, product: Server) -> Row:
    """List the page after almost all movies, which is as fast as the first."""
    cursor = base64.urlsafe_b64encode(_movie_name(MOVIES - 30).encode()).decode()
    figures = compare(
        lambda: run(Load(product.port, [request("GET", f"{PAGE}&after={cursor}")], 1)).p50,
        lambda: run(Load(product.port, [request("GET", PAGE)], 1)).p50,
    )
    what = f"A page at depth {MOVIES:,}, p50"
    return _at_most(what, "the first page", figures, 1.5, "ms")


def workers(bench: Bench, product: Server) -> Iterator[Row]:
    """Compare two workers with one, and on two cores with four."""
    sent = _verify_requests(bench)
    for count, target in ((1, 1.8), (4, 0.9)):
        other = bench.start_product(workers=count)
        figures = compare(
            lambda: run(Load(product.port, sent)).rate,
            lambda port=other.port: run(Load(port, sent)).rate,  # type: ignore[misc]  # mypy infers no lambda with a default
        )
        other.stop()
        reference = f"{count} worker{'s' * (count > 1)}"
        yield _at_least("GET /api/auth/verify, 2 workers", reference, figures, target)


def start() -> Row:
    """Run `make run`, installed: from the command to the first response, its database included."""
    figures = compare(_seconds_to_response, _seconds_to_import)
    reference = "python -c 'import flask, mongoengine'"
    return _at_most("Start to the first response", reference, figures, 4, "s")


def _seconds_to_response() -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        command = [sys.executable, "run.py"]
        server = Server(Path(folder), *command, DATA_DIR=Path(folder) / "data")
        requests.get(f"{server.url}/api/movies", timeout=10).raise_for_status()
        seconds = time.perf_counter() - begin
        server.stop()
    return seconds


def _seconds_to_import() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import flask, mongoengine"], check=True)
    return time.perf_counter() - begin


def login(bench: Bench, product: Server) -> Row:
    """Log in with eight clients; only hashing takes time."""
    path, password = "/api/auth/login", PASSWORD
    sent = [
        request("POST", path, {"email": user.email, "password": password}) for user in bench.users
    ]
    figures = compare(
        lambda: run(Load(product.port, sent, seconds=2 * BCRYPT_SECONDS)).rate,
        lambda: bcrypt_rate(BCRYPT_SECONDS),
    )
    reference = f"bcrypt.checkpw on {CORES} cores"
    return _at_least("POST /api/auth/login, 12 rounds", reference, figures, 0.95)


def bcrypt_rate(seconds: float) -> float:
    """Return how often per second bcrypt alone checks a password, with a thread on every core."""
    hashed, checks, begin = bcrypt.hashpw(b"", bcrypt.gensalt(12)), [], time.perf_counter()

    def work() -> None:
        while time.perf_counter() < begin + seconds:
            checks.append(bcrypt.checkpw(b"wrong", hashed))

    threads = [threading.Thread(target=work) for _ in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(checks) / (time.perf_counter() - begin)


Figures = tuple[float, float, float]


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> Figures:
    """Measure both in turn, after a round that does not count; return medians, and of the ratio.

    So what else the machine does disturbs a round of both, not only one of the two.
    """
    pairs = [(ours(), theirs()) for _ in range(1 + ROUNDS)][1:]
    ratios = [own / other for own, other in pairs]
    own_figures, other_figures = zip(*pairs, strict=True)
    medians = statistics.median(own_figures), statistics.median(other_figures)
    return *medians, statistics.median(ratios)


def _at_least(what: str, reference: str, figures: Figures, target: float) -> Row:
    ours, theirs, ratio = figures
    own, other = (f"{figure:,.{_digits(figure)}f}/s" for figure in (ours, theirs))
    return Row(what, own, reference, other, f"{ratio:.2f}", f"≥ {target}", ratio >= target)


def _at_most(what: str, reference: str, figures: Figures, target: float, unit: str) -> Row:
    ours, theirs, ratio = figures
    own, other = (f"{figure:.2f} {unit}" for figure in (ours, theirs))
    return Row(what, own, reference, other, f"{ratio:.2f}", f"≤ {target}", ratio <= target)


def _digits(figure: float) -> int:
    return 0 if figure >= 100 else 1
