"""`make bench-peers`: the product beside fastapi-users and Flask-Security, on one database."""

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
from bench.__main__ import cells, head, machine, write
from bench.load import Load, request, run
from bench.rows import MOVIES, PAGE, PASSWORD, ROUNDS, Bench
from services.hashing import THREADS
from tests.servers import HOME

FOLDER, VENVS = HOME / "bench" / "peers", HOME / ".venv" / "peers"
BEGIN = "<!-- make bench-peers -->\n"
HEAD = ["answers a second", "Movie-bag", "fastapi-users", "ratio", "Flask-Security", "ratio"]
PACKAGES = {
    "fastapi_users": ["fastapi-users", "beanie", "fastapi", "uvicorn"],
    "flask_security": ["flask-security"],
}
EMAIL = "ada@example.com"
ACCOUNT = {"email": EMAIL, "password": PASSWORD}
# Who logs in over and over: with us, the oldest of 20 sessions ends then.
OTHER = {"email": "eve@example.com", "password": PASSWORD}

LOGIN = "log in, bcrypt of 12 rounds"
READ = "say whose token it is"
BESIDE = "the same, while 8 other clients log in"
LIST = f"list 20 of {MOVIES:,} movies"
FORGOT = "a forgotten password, of an account"
STRANGER = "a forgotten password, of nobody"
SECONDS = {LOGIN: 8.0, READ: 2.0, BESIDE: 4.0, LIST: 2.0, FORGOT: 2.0, STRANGER: 2.0}

# What each is asked for each of them; not everybody answers strangers.
Asked = dict[str, str]


def main() -> None:
    """Measure every row for everybody in turn, print the table and write it down."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            everybody = [movie_bag(bench), fastapi_users(bench), flask_security(bench)]
            lines = head(HEAD)
            for what in SECONDS:
                lines.append(_line(what, *compared(bench, what, everybody)))
                print(lines[-1], flush=True)
        finally:
            bench.stop()
    theirs = [_versions(venv, *packages) for venv, packages in PACKAGES.items()]
    write(BEGIN, "\n".join(lines) + f"\n\n{machine()}, {', '.join(theirs)}.\n")


def compared(
    bench: Bench, what: str, everybody: list[tuple[servers.Server, Asked]]
) -> list[list[float]]:
    """Return what each round gave for each, after a round that does not count."""
    rounds = []
    for _ in range(1 + ROUNDS):
        rounds.append([_rate(server, asked, what) for server, asked in everybody])
        bench.settle()
    return rounds[1:]


def _rate(server: servers.Server, asked: Asked, what: str) -> float:
    """Return answers a second; 0 where something else than 200 is the answer."""
    if what not in asked:
        return 0
    load = Load(server.port, [asked[what]], seconds=SECONDS[what])
    if what != BESIDE:
        return run(load).rate
    with ThreadPoolExecutor(1) as pool:
        logins = pool.submit(run, Load(server.port, [asked[LOGIN]], seconds=SECONDS[what] + 1))
        rate = run(load).rate
        logins.result()  # raises, had one of them been refused
    return rate


def movie_bag(bench: Bench) -> tuple[servers.Server, Asked]:
    """Serve the product, with as many threads as `make serve` gives it."""
    server = bench.product(threads=THREADS)
    for account in (ACCOUNT, OTHER):
        _post(server, "/api/auth/signup", account)
    token = _post(server, "/api/auth/login", ACCOUNT)["token"]
    verify = request("GET", "/api/auth/verify", Authorization=f"Bearer {token}")
    return server, {
        LOGIN: request("POST", "/api/auth/login", OTHER),
        READ: verify,
        BESIDE: verify,
        LIST: request("GET", PAGE),
        FORGOT: request("POST", "/api/auth/forgot", {"email": EMAIL}),
        STRANGER: request("POST", "/api/auth/forgot", {"email": "nobody@example.com"}),
    }


def fastapi_users(bench: Bench) -> tuple[servers.Server, Asked]:
    """Serve fastapi-users."""
    command = ["uvicorn", "--port", "PORT", "--workers", "2"]
    server = _peer(bench, "fastapi_users", *command, "fastapi_users_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", account)
    form = urlencode({"username": EMAIL, "password": PASSWORD})
    typed = "application/x-www-form-urlencoded"
    answer = requests.post(_url(server, "/login"), form, headers={"Content-Type": typed}, timeout=9)
    me = request("GET", "/users/me", Authorization=f"Bearer {answer.json()['access_token']}")
    return server, {
        LOGIN: request("POST", "/login", form.replace("ada", "eve"), Content_Type=typed),
        READ: me,
        BESIDE: me,
        LIST: request("GET", "/movies"),
        FORGOT: request("POST", "/forgot-password", {"email": EMAIL}),
        STRANGER: request("POST", "/forgot-password", {"email": "nobody@example.com"}),
    }


def flask_security(bench: Bench) -> tuple[servers.Server, Asked]:
    """Serve Flask-Security; it answers 400 to strangers."""
    command = ["gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--threads", "4"]
    command += ["--access-logfile", "-"]  # as the others do by themselves
    server = _peer(bench, "flask_security", *command, "flask_security_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", {**account, "password_confirm": PASSWORD})
    login = "/login?include_auth_token"
    user = _post(server, login, ACCOUNT)["response"]["user"]
    me = request("GET", "/me", Authentication_Token=user["authentication_token"])
    return server, {
        LOGIN: request("POST", login, OTHER),
        READ: me,
        BESIDE: me,
        LIST: request("GET", "/movies"),
        FORGOT: request("POST", "/reset", {"email": EMAIL}),
    }


def _peer(bench: Bench, name: str, program: str, *arguments: str) -> servers.Server:
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
    return bench.started(servers.Server(bench.folder, *command, cwd=FOLDER, **env))


def _versions(venv: str, *names: str) -> str:
    show = f"from importlib.metadata import version as v; print(*map(v, {names!r}))"
    command = [str(VENVS / venv / "bin" / "python"), "-c", show]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))


def _post(server: servers.Server, path: str, fields: dict[str, str]) -> Any:
    answer = requests.post(_url(server, path), json=fields, timeout=30)
    answer.raise_for_status()
    return answer.json()


def _url(server: servers.Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def _line(what: str, *rounds: list[float]) -> str:
    ours, *others = zip(*rounds, strict=True)
    shown = [what, f"{statistics.median(ours):,.1f}"]
    for theirs in others:
        if any(theirs):
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            shown += [f"{statistics.median(theirs):,.1f}", f"**{statistics.median(ratios):.2f}**"]
        else:
            shown += ["tells them apart", ""]
    return cells(shown)


if __name__ == "__main__":
    main()
