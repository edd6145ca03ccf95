"""What is measured: each row is a figure of ours, beside the one that bounds it in the same run."""

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
from flask import Flask

from app import create_app
from bench import servers
from bench.load import TOKEN, Load, request, run
from database.embedded import EmbeddedDatabase
from database.models import Mail, User
from services import auth_service, hashing, mail_service, movie_service, session_service
from tests.smtp import free_port

PASSWORD = "correct horse battery"
CLIENTS, SESSIONS, MOVIES = 8, 20, 100_000
ROUNDS, BCRYPT_SECONDS = 3, 4.0
FORGOTS, WARM_FORGOTS = 10_000, 500
MAILS, FIRST_MAILS = 600, 100
# About a hundred a second: how long one takes shows where they don't queue.
CALM: dict[str, Any] = {"clients": 2, "pause": 0.018}
PAGE = "/api/movies?limit=20"
FORGOT = [
    request("POST", "/api/auth/forgot", {"email": f"nobody-{number}@example.com"})
    for number in range(1000)
]


@dataclass
class Row:
    """A line of the table; each figure is the median of a few rounds, so is the ratio."""

    what: str
    ours: str
    beside: str
    theirs: str
    ratio: str
    target: str
    reached: bool


class Bench:
    """An embedded database with users and movies, and the servers that work on it."""

    def __init__(self, folder: Path) -> None:
        """Fill the database; folder holds it, and the logs of the servers."""
        self.folder = folder
        self._embedded = EmbeddedDatabase(folder)
        self._uri = self._embedded.start()
        self._servers: list[servers.Server] = []
        self.sink = self.started(servers.sink(folder))
        self.app = self._app()
        with self.app.test_request_context():
            self.users = [_user(f"user-{number}@example.com") for number in range(CLIENTS)]
            _add_movies(str(self.users[0].id))

    def _app(self) -> Flask:
        settings = {**servers.SETTINGS, "MAIL_PORT": self.sink.port, "DATA_DIR": str(self.folder)}
        return create_app({**settings, "MONGODB_URI": self.uri()})

    def uri(self, name: str = "bench") -> str:
        """Return the URI of a database of the server's."""
        return self._uri.replace("/?", f"/{name}?")

    def started(self, server: servers.Server) -> servers.Server:
        """Stop server at the end."""
        self._servers.append(server)
        return server

    def product(self, database: str = "bench", **settings: Any) -> servers.Server:
        """Serve the product."""
        settings = {"MAIL_PORT": self.sink.port, "MONGODB_URI": self.uri(database), **settings}
        return self.started(servers.product(self.folder, **settings))

    def bare(self, page: bytes) -> servers.Server:
        """Serve the limits."""
        (self.folder / "page").write_bytes(page)
        ids = ",".join(str(user.id) for user in self.users)
        facts = {"USER_IDS": ids, "LIST": self.folder / "page", "MONGODB_URI": self.uri()}
        return self.started(servers.bare(self.folder, **facts))

    def tokens(self, name: str) -> list[str]:
        """Begin a session for each user; return its access or refresh tokens."""
        with self.app.test_request_context():
            pairs = [session_service.begin(user, "bench") for user in self.users]
        return [pair[name] for pair in pairs]

    def settle(self) -> None:
        """Wait until every mail is out."""
        with self.app.app_context():
            while Mail.objects.first():
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop the servers and the database."""
        for server in reversed(self._servers):
            server.stop()
        self._embedded.stop()


def rows(bench: Bench) -> Iterator[Row]:
    """Measure everything, a row at a time."""
    product = bench.product()
    page = requests.get(f"http://127.0.0.1:{product.port}{PAGE}", timeout=10)
    bare = bench.bare(page.content)
    yield verify(bench, product, bare)
    yield movies(product, bare)
    yield refresh(bench, product, bare)
    yield forgot(bench, product, bare)
    yield forgot_with_slow_smtp(bench, product)
    yield outbox(bench, product)
    yield memory(bench)
    yield depth(bench, product)
    yield from workers(bench, product)
    yield start()
    yield login(bench, product)


def verify(bench: Bench, product: servers.Server, bare: servers.Server) -> Row:
    """An access token, its session and its user, of 20 sessions, are checked."""
    asked = verify_requests(bench)
    figures = compare(
        lambda: run(Load(product.port, asked)).rate,
        lambda: run(Load(bare.port, [request("GET", "/one")])).rate,
    )
    return _at_least("GET /api/auth/verify", "Flask, one find_one by _id", figures, 0.75)


def verify_requests(bench: Bench) -> list[str]:
    """Return a request of each user."""
    path = "/api/auth/verify"
    tokens = bench.tokens("token")
    return [request("GET", path, Authorization=f"Bearer {token}") for token in tokens]


def movies(product: servers.Server, bare: servers.Server) -> Row:
    """A page of 20 is listed."""
    figures = compare(
        lambda: run(Load(product.port, [request("GET", PAGE)])).rate,
        lambda: run(Load(bare.port, [request("GET", "/list")])).rate,
    )
    return _at_least(f"GET {PAGE}", "Flask, the same find and bytes", figures, 0.8)


def refresh(bench: Bench, product: servers.Server, bare: servers.Server) -> Row:
    """Each client trades its refresh token, over and over."""
    asked = [request("POST", "/api/auth/refresh", Authorization=f"Bearer {TOKEN}")]
    figures = compare(
        lambda: run(Load(product.port, asked, tokens=bench.tokens("refresh_token"))).rate,
        lambda: run(Load(bare.port, [request("POST", "/refresh")])).rate,
    )
    beside = "Flask, find_one_and_update, two HS256"
    return _at_least("POST /api/auth/refresh", beside, figures, 0.6)


def forgot(bench: Bench, product: servers.Server, bare: servers.Server) -> Row:
    """Links are asked for, for addresses that nobody has."""
    figures = compare(
        lambda: run(Load(product.port, FORGOT, **CALM)).p50,
        lambda: run(Load(bare.port, [request("POST", "/forgot")], **CALM)).p50,
    )
    bench.settle()
    return _at_most("POST /api/auth/forgot, p50", "Flask, one insert", figures, 1.5, "ms")


def forgot_with_slow_smtp(bench: Bench, fast: servers.Server) -> Row:
    """A mail server that takes 3 s a mail slows no answer."""
    sink = bench.started(servers.sink(bench.folder, seconds_a_mail=3))
    slow = bench.product("slow", MAIL_PORT=sink.port)
    asked = _forgot_of_users(bench)
    with bench.app.test_request_context():
        database = User._get_db().client["slow"]
        database.user.insert_many(list(User._get_collection().find()))
    figures = compare(
        lambda: run(Load(slow.port, asked, **CALM)).p95,
        lambda: run(Load(fast.port, asked, **CALM)).p95,
    )
    slow.stop()
    what = "POST /api/auth/forgot, p95, SMTP taking 3 s a mail"
    return _at_most(what, "the same, SMTP fast", figures, 1.2, "ms")


def _forgot_of_users(bench: Bench) -> list[str]:
    path = "/api/auth/forgot"
    return [request("POST", path, {"email": user.email}) for user in bench.users]


def outbox(bench: Bench, product: servers.Server) -> Row:
    """The outbox of two workers sends what is due; smtplib sends the same over one connection."""
    bench.settle()
    before = len(bench.sink.said())
    with bench.app.app_context():
        wishes = [_wish(bench.users[number % CLIENTS]) for number in range(MAILS)]
        Mail.objects.insert(wishes)
    run(Load(product.port, FORGOT, count=CLIENTS))  # wakes both workers
    bench.settle()
    sent = bench.sink.said()[before:]
    ours = (MAILS - FIRST_MAILS) / (sent[MAILS - 1][0] - sent[FIRST_MAILS - 1][0])
    begin = time.perf_counter()
    with SMTP("127.0.0.1", bench.sink.port) as smtp:
        for _, content in sent[:MAILS]:
            smtp.sendmail("support@movie-bag.com", ["someone@example.com"], content.encode())
    theirs = MAILS / (time.perf_counter() - begin)
    beside = "smtplib, the same bytes, one connection"
    return _at_least("Mails out of the outbox", beside, (ours, theirs, ours / theirs), 0.5)


def _wish(user: User) -> Mail:
    now = time.time()
    return Mail(kind=mail_service.RESET, email=user.email, created_at=now, due_at=now)


def memory(bench: Bench) -> Row:
    """A worker keeps nothing of the mails that wait."""
    server = bench.product("memory", MAIL_PORT=free_port(), workers=1)
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


def depth(bench: Bench, product: servers.Server) -> Row:
    """The page behind almost all movies is found as fast as the first."""
    cursor = base64.urlsafe_b64encode(_name(MOVIES - 30).encode()).decode()
    figures = compare(
        lambda: run(Load(product.port, [request("GET", f"{PAGE}&after={cursor}")], 1)).p50,
        lambda: run(Load(product.port, [request("GET", PAGE)], 1)).p50,
    )
    what = f"A page at depth {MOVIES:,}, p50"
    return _at_most(what, "the first page", figures, 1.5, "ms")


def workers(bench: Bench, product: servers.Server) -> Iterator[Row]:
    """Two workers answer more than one; four, on two cores, no more than two."""
    asked = verify_requests(bench)
    for count, target in ((1, 1.8), (4, 0.9)):
        other = bench.product(workers=count)
        figures = compare(
            lambda: run(Load(product.port, asked)).rate,
            lambda port=other.port: run(Load(port, asked)).rate,  # type: ignore[misc]
        )
        other.stop()
        beside = f"{count} worker{'s' * (count > 1)}"
        yield _at_least("GET /api/auth/verify, 2 workers", beside, figures, target)


def start() -> Row:
    """`make run`, installed: from the command to the first answer, its database included."""
    figures = compare(_seconds_to_answer, _seconds_to_import)
    beside = "python -c 'import flask, mongoengine'"
    return _at_most("Start to the first answer", beside, figures, 4, "s")


def _seconds_to_answer() -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        command = [sys.executable, "run.py"]
        server = servers.Server(Path(folder), *command, DATA_DIR=Path(folder) / "data")
        requests.get(f"http://127.0.0.1:{server.port}/api/movies", timeout=10).raise_for_status()
        took = time.perf_counter() - begin
        server.stop()
    return took


def _seconds_to_import() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import flask, mongoengine"], check=True)
    return time.perf_counter() - begin


def login(bench: Bench, product: servers.Server) -> Row:
    """Eight clients log in; hashing is all that takes time."""
    path, password = "/api/auth/login", PASSWORD
    asked = [
        request("POST", path, {"email": user.email, "password": password}) for user in bench.users
    ]
    figures = compare(
        lambda: run(Load(product.port, asked, seconds=2 * BCRYPT_SECONDS)).rate,
        lambda: checks_a_second(BCRYPT_SECONDS),
    )
    beside = f"bcrypt.checkpw on {hashing.CORES} cores"
    return _at_least("POST /api/auth/login, 12 rounds", beside, figures, 0.95)


def checks_a_second(seconds: float) -> float:
    """Return how often bcrypt alone checks a password, a thread on every core."""
    hashed, done, begin = bcrypt.hashpw(b"", bcrypt.gensalt(12)), [], time.perf_counter()

    def work() -> None:
        while time.perf_counter() < begin + seconds:
            done.append(bcrypt.checkpw(b"wrong", hashed))

    threads = [threading.Thread(target=work) for _ in range(hashing.CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done) / (time.perf_counter() - begin)


Figures = tuple[float, float, float]


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> Figures:
    """Measure both in turn, after a round that does not count; return medians, and of the ratio.

    What else the machine does then spoils one round of both, and not one of the two.
    """
    pairs = [(ours(), theirs()) for _ in range(1 + ROUNDS)][1:]
    ratios = [mine / other for mine, other in pairs]
    mine, others = zip(*pairs, strict=True)
    return statistics.median(mine), statistics.median(others), statistics.median(ratios)


def _at_least(what: str, beside: str, figures: Figures, target: float) -> Row:
    ours, theirs, ratio = figures
    told = f"{ours:,.{_digits(ours)}f}/s", beside, f"{theirs:,.{_digits(theirs)}f}/s"
    return Row(what, *told, f"{ratio:.2f}", f"≥ {target}", ratio >= target)


def _at_most(what: str, beside: str, figures: Figures, target: float, unit: str) -> Row:
    ours, theirs, ratio = figures
    told = f"{ours:.2f} {unit}", beside, f"{theirs:.2f} {unit}"
    return Row(what, *told, f"{ratio:.2f}", f"≤ {target}", ratio <= target)


def _digits(figure: float) -> int:
    return 0 if figure >= 100 else 1


def _user(email: str) -> User:
    """Sign a user up, and begin as many sessions as one can have."""
    user = auth_service.sign_up(email, PASSWORD, None)
    for _ in range(SESSIONS):
        session_service.begin(user, "bench")
    return user


def _add_movies(owner_id: str) -> None:
    facts = {"casts": ["Ada Lovelace", "Mary Shelley"], "genres": ["Drama", "Crime"]}
    for begin in range(0, MOVIES, 10_000):
        some = [{"name": _name(number), **facts} for number in range(begin, begin + 10_000)]
        movie_service.add_many(owner_id, some)


def _name(number: int) -> str:
    return f"A film with the number {number:06}"
