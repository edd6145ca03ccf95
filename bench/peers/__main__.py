"""`make bench-peers`: the product next to fastapi-users and Flask-Security, on one database."""

import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from bench import servers
from bench.load import Load, request, run
from bench.report import machine, read_arguments, table_head, table_line, write_table
from bench.rows import MOVIES, PAGE, PASSWORD, ROUNDS, Bench
from bench.servers import Server
from infra.password_hashing import SERVER_THREADS
from tests.support.processes import HOME

FOLDER = HOME / "bench" / "peers"
VENVS = HOME / ".venv" / "peers"
BEGIN = "<!-- make bench-peers -->\n"
HEAD = ["responses per second", "Movie-bag", "fastapi-users", "ratio", "Flask-Security", "ratio"]
PACKAGES = {
    "fastapi_users": ["fastapi-users", "beanie", "fastapi", "uvicorn"],
    "flask_security": ["flask-security"],
}
EMAIL = "ada@example.com"
UNKNOWN_EMAIL = "nobody@example.com"
ACCOUNT = {"email": EMAIL, "password": PASSWORD}
# Logs in again and again: with us, the oldest of 20 sessions is evicted then.
OTHER = {"email": "eve@example.com", "password": PASSWORD}
FORM = "application/x-www-form-urlencoded"

LOGIN = "log in, bcrypt of 12 rounds"
VERIFY = "verify a token"
VERIFY_DURING_LOGINS = "the same, while 8 other clients log in"
LIST = f"list 20 of {MOVIES:,} movies"
FORGOT = "forgotten password, known email"
FORGOT_UNKNOWN = "forgotten password, unknown email"
SECONDS = {
    LOGIN: 8.0,
    VERIFY: 2.0,
    VERIFY_DURING_LOGINS: 4.0,
    LIST: 2.0,
    FORGOT: 2.0,
    FORGOT_UNKNOWN: 2.0,
}

# The request of each measurement; not every product accepts unknown emails.
Requests = dict[str, str]


def main() -> None:
    """Measure every row for each product in turn, print the table and write it to the page."""
    page = read_arguments(main.__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            products = [movie_bag(bench), fastapi_users(bench), flask_security(bench)]
            lines = table_head(HEAD)
            for what in SECONDS:
                lines.append(_line(what, *compare(bench, what, products)))
                print(lines[-1], flush=True)
        finally:
            bench.stop()
    theirs = [_versions(venv, *packages) for venv, packages in PACKAGES.items()]
    write_table(page, BEGIN, "\n".join(lines) + f"\n\n{machine()}, {', '.join(theirs)}.\n")


def compare(bench: Bench, what: str, products: list[tuple[Server, Requests]]) -> list[list[float]]:
    """Return the figures of each round, after a round that does not count."""
    rounds = []
    for _ in range(1 + ROUNDS):
        rounds.append([_rate(server, sent, what) for server, sent in products])
        bench.wait_for_emails()
    return rounds[1:]


def _rate(server: Server, sent: Requests, what: str) -> float:
    """Return responses per second; 0 for a product that has no such request."""
    if what not in sent:
        return 0
    load = Load(server.port, [sent[what]], seconds=SECONDS[what])
    if what != VERIFY_DURING_LOGINS:
        return run(load).rate
    with ThreadPoolExecutor(1) as pool:
        logins = pool.submit(run, Load(server.port, [sent[LOGIN]], seconds=SECONDS[what] + 1))
        rate = run(load).rate
        logins.result()  # raises if one of them was refused
    return rate


def movie_bag(bench: Bench) -> tuple[Server, Requests]:
    """Serve the product, with as many threads as `make serve` gives it."""
    server = bench.start_product(threads=SERVER_THREADS)
    for account in (ACCOUNT, OTHER):
        _post(server, "/api/auth/signup", account)
    token = _post(server, "/api/auth/login", ACCOUNT)["token"]
    verify = request("GET", "/api/auth/verify", Authorization=f"Bearer {token}")
    return server, {
        LOGIN: request("POST", "/api/auth/login", OTHER),
        VERIFY: verify,
        VERIFY_DURING_LOGINS: verify,
        LIST: request("GET", PAGE),
        FORGOT: request("POST", "/api/auth/forgot", {"email": EMAIL}),
        FORGOT_UNKNOWN: request("POST", "/api/auth/forgot", {"email": UNKNOWN_EMAIL}),
    }


def fastapi_users(bench: Bench) -> tuple[Server, Requests]:
    """Serve fastapi-users."""
    command = ["uvicorn", "--port", "PORT", "--workers", "2"]
    server = _start_peer(bench, "fastapi_users", *command, "fastapi_users_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", account)
    form = urlencode({"username": EMAIL, "password": PASSWORD})
    headers = {"Content-Type": FORM}
    login = requests.post(f"{server.url}/login", form, headers=headers, timeout=9).json()
    me = request("GET", "/users/me", Authorization=f"Bearer {login['access_token']}")
    return server, {
        LOGIN: request("POST", "/login", form.replace("ada", "eve"), Content_Type=FORM),
        VERIFY: me,
        VERIFY_DURING_LOGINS: me,
        LIST: request("GET", "/movies"),
        FORGOT: request("POST", "/forgot-password", {"email": EMAIL}),
        FORGOT_UNKNOWN: request("POST", "/forgot-password", {"email": UNKNOWN_EMAIL}),
    }


def flask_security(bench: Bench) -> tuple[Server, Requests]:
    """Serve Flask-Security, which responds 400 to unknown emails."""
    command = ["gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--threads", "4"]
    command += ["--access-logfile", "-"]  # as the others do by themselves
    server = _start_peer(bench, "flask_security", *command, "flask_security_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", {**account, "password_confirm": PASSWORD})
    login = "/login?include_auth_token"
    user = _post(server, login, ACCOUNT)["response"]["user"]
    me = request("GET", "/me", Authentication_Token=user["authentication_token"])
    return server, {
        LOGIN: request("POST", login, OTHER),
        VERIFY: me,
        VERIFY_DURING_LOGINS: me,
        LIST: request("GET", "/movies"),
        FORGOT: request("POST", "/reset", {"email": EMAIL}),
    }


def _start_peer(bench: Bench, name: str, program: str, *arguments: str) -> Server:
    """Serve a peer out of a virtual environment of its own, made from the package index."""
    venv = VENVS / name
    if not (venv / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(FOLDER / f"{name}.txt")], check=True)
        (venv / "installed").touch()
    env: dict[str, Any] = {"MONGODB_URI": bench.uri(), "MAIL_PORT": bench.sink.port}
    env["JWT_SECRET_KEY"] = servers.SETTINGS["JWT_SECRET_KEY"]
    command = [str(venv / "bin" / program), *arguments]
    return bench.stop_later(Server(bench.folder, *command, cwd=FOLDER, **env))


def _versions(venv: str, *names: str) -> str:
    code = f"from importlib.metadata import version as v; print(*map(v, {names!r}))"
    command = [str(VENVS / venv / "bin" / "python"), "-c", code]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))


def _post(server: Server, path: str, fields: dict[str, str]) -> Any:
    response = requests.post(server.url + path, json=fields, timeout=30)
    response.raise_for_status()
    return response.json()


def _line(what: str, *rounds: list[float]) -> str:
    ours, *others = zip(*rounds, strict=True)
    cells = [what, f"{statistics.median(ours):,.1f}"]
    for theirs in others:
        if any(theirs):
            ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
            cells += [f"{statistics.median(theirs):,.1f}", f"**{statistics.median(ratios):.2f}**"]
        else:
            cells += ["reveals unknown emails", ""]
    return table_line(cells)


if __name__ == "__main__":
    main()
