"""What is measured: each row is a figure of ours, next to what bounds it in the same run."""

import base64
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
from bench.load import TOKEN, Load, request, run, run_together
from bench.servers import Server
from database.embedded.server import EmbeddedDatabase
from database.models import Job, User
from infra.password_hashing import CORES, SERVER_THREADS
from private_keys import to_pem
from services import auth_service, movie_service, session_service
from services.mail_kinds import RESET_PASSWORD
from services.mail_queue import SEND_EMAIL
from tests.support.processes import free_port, megabytes

PASSWORD = "correct horse battery"
CLIENTS = 8
SESSIONS = 20
MOVIES = 100_000
BATCH_SIZE = 1_000
ROUNDS = 5
BCRYPT_SECONDS = 6.0
LOGINS = 64  # about ten seconds
MIXED_SECONDS = 6.0
FORGOTS = 10_000
WARM_FORGOTS = 500
MAX_MEGABYTES = 75
EMAILS = 600
FIRST_EMAILS = 100
# About a hundred requests per second: how long one takes is visible only where none is queued.
CALM: dict[str, Any] = {"clients": 2, "pause": 0.018}
PAGE = "/api/movies?limit=20"
VERIFY = "GET /api/auth/verify"
LOGIN = "POST /api/auth/login"
GTHREAD = "Flask on gthread"
FORGOT = [
    request("POST", "/api/auth/forgot", {"email": f"nobody-{number}@example.com"})
    for number in range(1000)
]

Figures = tuple[float, float, float]  # ours, theirs and the ratio


@dataclass
class Row:
    """A line of the table; each figure is the median of a few rounds, the ratio too.

    A row without a target is for information.
    """

    what: str
    ours: str
    reference: str
    theirs: str
    ratio: float
    target: float | None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Say whether the target is reached."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


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

    def start_bare(self, page: bytes, *options: str) -> Server:
        """Serve the bounds, with options of gunicorn."""
        (self.folder / "page").write_bytes(page)
        with self.app.app_context():
            newest = [f"{user.id}:{[*(user.read_sessions() or {})][-1]}" for user in self.users]
        env = {"SESSIONS": ",".join(newest), "LIST": self.folder / "page"}
        env |= {"MONGODB_URI": self.uri()}
        return self.stop_later(servers.start_bare(self.folder, *options, **env))

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
    yield from verify(bench, product, bare)
    yield verify_on_own_worker(bench, product, page.content)
    yield verify_by_public_key(bench, product)
    yield list_movies(product, bare)
    yield refresh(bench, product, bare)
    yield forgot(bench, product, bare)
    yield forgot_with_slow_smtp(bench, product)
    yield job_queue(bench, product)
    yield from memory(bench)
    yield depth(bench, product)
    yield from workers(bench, product)
    yield start()
    yield login(bench, product)
    yield from reads_beside_logins(bench)


def verify(bench: Bench, product: Server, bare: Server) -> Iterator[Row]:
    """Verify access tokens of users with 20 sessions, of which it reads one."""
    figures = _compare_verify(bench, product, bare)
    yield _at_least(VERIFY, f"{GTHREAD}: the same find_one", figures, 0.95)
    figures = _compare_verify(bench, product, bare, "/whole")
    yield _at_least(VERIFY, f"{GTHREAD}: find_one of the whole user", figures, None)


def verify_on_own_worker(bench: Bench, product: Server, page: bytes) -> Row:
    """Compare with the same view under the product's worker, which tells its share."""
    bare = bench.start_bare(page, *servers.OWN_WORKER)
    figures = _compare_verify(bench, product, bare)
    bare.stop()
    return _at_least(VERIFY, "the same on Movie-bag's worker", figures, None)


def _compare_verify(bench: Bench, product: Server, bare: Server, path: str = "/one") -> Figures:
    sent = verify_requests(bench)
    return compare(
        lambda: run(Load(product.port, sent)).rate,
        lambda: run(Load(bare.port, [request("GET", path)])).rate,
    )


def verify_by_public_key(bench: Bench, product: Server) -> Row:
    """Verify access tokens that a private key has signed: once in each process, as the others."""
    settings = {"JWT_PRIVATE_KEYS": to_pem(generate_private_key(SECP256R1())).decode()}
    other = bench.start_product(**settings)
    signed = verify_requests(bench, bench.create_app(**settings))
    sent = verify_requests(bench)
    figures = compare(
        lambda: run(Load(other.port, signed)).rate, lambda: run(Load(product.port, sent)).rate
    )
    other.stop()
    return _at_least(f"{VERIFY}, ES256", "HS256", figures, 0.9)


def verify_requests(bench: Bench, app: Flask | None = None) -> list[str]:
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
    return _at_least(f"GET {PAGE}", f"{GTHREAD}: the same find and bytes", figures, 0.95)


def refresh(bench: Bench, product: Server, bare: Server) -> Row:
    """Exchange the refresh token of each client again and again."""
    sent = [request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")]
    figures = compare(
        lambda: run(Load(product.port, sent, tokens=bench.tokens("refresh_token"))).rate,
        lambda: run(Load(bare.port, [request("POST", "/refresh")])).rate,
    )
    reference = f"{GTHREAD}: find_one_and_update, two HS256"
    return _at_least("POST /api/auth/refresh", reference, figures, 0.8)


def forgot(bench: Bench, product: Server, bare: Server) -> Row:
    """Request links for unknown emails."""
    figures = compare(
        lambda: run(Load(product.port, FORGOT, **CALM)).p50,
        lambda: run(Load(bare.port, [request("POST", "/forgot")], **CALM)).p50,
    )
    bench.wait_for_emails()
    what, reference = "POST /api/auth/forgot, p50", f"{GTHREAD}: one insert"
    return _at_most(what, reference, figures, 1.25, "ms")


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
    figures = compare(lambda: _queue_rate(bench, product), lambda: _smtplib_rate(bench.sink))
    reference = "smtplib, the same bytes, one connection"
    return _at_least("Emails out of the job queue", reference, figures, 0.5)


def _queue_rate(bench: Bench, product: Server) -> float:
    bench.wait_for_emails()
    before = len(bench.sink.log_lines())
    with bench.app.app_context():
        Job.objects.insert([_reset_email(bench.users[n % CLIENTS]) for n in range(EMAILS)])
    run(Load(product.port, FORGOT, count=CLIENTS))  # wakes both workers
    bench.wait_for_emails()
    sent: list[float] = [seconds for seconds, _ in bench.sink.log_lines()[before:]]
    return (EMAILS - FIRST_EMAILS) / (sent[EMAILS - 1] - sent[FIRST_EMAILS - 1])


def _reset_email(user: User) -> Job:
    now = time.time()
    arguments = {"mail": RESET_PASSWORD, "email": user.email}
    return Job(kind=SEND_EMAIL, arguments=arguments, created_at=now, run_at=now)


def _smtplib_rate(sink: Server) -> float:
    emails = [content for _, content in sink.log_lines()[-EMAILS:]]
    begin = time.perf_counter()
    with SMTP("127.0.0.1", sink.port) as smtp:
        for content in emails:
            smtp.sendmail("support@movie-bag.com", ["someone@example.com"], content.encode())
    return len(emails) / (time.perf_counter() - begin)


def memory(bench: Bench) -> Iterator[Row]:
    """Queue many emails; a worker keeps none of them in memory."""
    server = bench.start_product("memory", MAIL_PORT=free_port(), workers=1)
    run(Load(server.port, FORGOT, count=WARM_FORGOTS))
    before = megabytes(server.worker())
    run(Load(server.port, FORGOT, count=FORGOTS))
    after = megabytes(server.worker())
    server.stop()
    what = f"Memory of a worker after {FORGOTS:,} forgots, SMTP down"
    for reference, other, target in (
        (f"after {WARM_FORGOTS}", before, 1.1),
        ("what it may take", MAX_MEGABYTES, 1),
    ):
        yield _at_most(what, reference, (after, other, after / other), target, "MB")


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
    sent = verify_requests(bench)
    for count, target in ((1, 1.8), (4, 0.9)):
        other = bench.start_product(workers=count)
        figures = compare(
            lambda: run(Load(product.port, sent)).rate,
            lambda port=other.port: run(Load(port, sent)).rate,  # type: ignore[misc]  # mypy infers no lambda with a default
        )
        other.stop()
        reference = f"{count} worker{'s' * (count > 1)}"
        yield _at_least(f"{VERIFY}, 2 workers", reference, figures, target)


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
    sent = _login_requests([user.email for user in bench.users])
    figures = compare(
        lambda: run(Load(product.port, sent, count=LOGINS)).rate,
        lambda: bcrypt_rate(BCRYPT_SECONDS),
    )
    reference = f"bcrypt.checkpw on {CORES} cores"
    return _at_least(f"{LOGIN}, 12 rounds", reference, figures, 0.97)


def _login_requests(emails: list[str]) -> list[str]:
    fields = [{"email": email, "password": PASSWORD} for email in emails]
    return [request("POST", "/api/auth/login", account) for account in fields]


def reads_beside_logins(bench: Bench) -> Iterator[Row]:
    """Verify while other users log in, with the threads of `make serve`; and each alone."""
    server = bench.start_product(threads=SERVER_THREADS)
    emails = [f"other-{number}@example.com" for number in range(CLIENTS)]
    with bench.app.app_context():
        for email in emails:
            auth_service.sign_up(email, PASSWORD)
    reads = Load(server.port, verify_requests(bench), seconds=MIXED_SECONDS)
    logins = Load(server.port, _login_requests(emails), seconds=MIXED_SECONDS)
    rounds = [_beside_and_alone(reads, logins) for _ in range(1 + ROUNDS)][1:]
    server.stop()
    read, login = (_medians(pairs) for pairs in zip(*rounds, strict=True))
    yield _at_least(f"{VERIFY}, while {CLIENTS} others log in", "alone", read, 0.5)
    yield _at_least(f"{LOGIN}, while {CLIENTS} others verify", "alone", login, 0.5)
    total = statistics.median(sum(own / other for own, other in pairs) for pairs in rounds)
    shares = f"{read[2]:.2f} + {login[2]:.2f}"
    yield Row("Both at the same time, shares added", shares, "one alone", "1", total, 1.3)


def _beside_and_alone(reads: Load, logins: Load) -> list[tuple[float, float]]:
    """Return the rate beside the other and alone, of reads and of logins."""
    alone = [run(reads).rate, run(logins).rate]
    beside = [outcome.rate for outcome in run_together(reads, logins)]
    return list(zip(beside, alone, strict=True))


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


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> Figures:
    """Measure both in turn, after a round that does not count; return medians, and of the ratio.

    So what else the machine does disturbs a round of both, not only one of the two.
    """
    return _medians([(ours(), theirs()) for _ in range(1 + ROUNDS)][1:])


def _medians(pairs: Sequence[tuple[float, float]]) -> Figures:
    ratios = [own / other for own, other in pairs]
    own_figures, other_figures = zip(*pairs, strict=True)
    medians = statistics.median(own_figures), statistics.median(other_figures)
    return *medians, statistics.median(ratios)


def _at_least(what: str, reference: str, figures: Figures, target: float | None) -> Row:
    own, other = (f"{figure:,.{_digits(figure)}f}/s" for figure in figures[:2])
    return Row(what, own, reference, other, figures[2], target)


def _at_most(what: str, reference: str, figures: Figures, target: float, unit: str) -> Row:
    own, other = (f"{figure:.2f} {unit}" for figure in figures[:2])
    return Row(what, own, reference, other, figures[2], target, at_most=True)


def _digits(figure: float) -> int:
    return 0 if figure >= 100 else 1
