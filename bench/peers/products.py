"""What is compared: the product, and each peer under the server that its documentation uses."""

import json
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from pymongo import MongoClient

from bench import servers
from bench.load import request
from bench.peers import installed, postgres
from bench.rows import PAGE, PASSWORD, Bench
from bench.servers import Server
from infra.password_hashing import CORES, SERVER_THREADS
from tests.support.processes import environment

EMAIL = "ada@example.com"
UNKNOWN_EMAIL = "nobody@example.com"
ACCOUNT = {"email": EMAIL, "password": PASSWORD}
# Logs in again and again: with us, the oldest of 20 sessions is evicted then.
OTHER = {"email": "eve@example.com", "password": PASSWORD}
FORM = "application/x-www-form-urlencoded"
SECRET = servers.SETTINGS["JWT_SECRET_KEY"]
TOKEN_SECONDS = 3600  # the measurements take longer than a token is valid by default
EMBEDDED = "the embedded database"
# Two workers for two cores, with threads: the other workers of gunicorn close each connection.
GUNICORN = ["--bind", "127.0.0.1:PORT", "--workers", str(CORES), "--threads", "4"]
GUNICORN += ["--no-control-socket"]  # one file in the home directory, for every gunicorn
GUNICORN_WORDS = f"gunicorn, {CORES} workers of 4 threads"


@dataclass
class Product:
    """A server with two users, the request of each measurement, and what the page says of it."""

    name: str
    server: Server
    login: str
    verify: str
    movies: str
    forgot: str
    forgot_unknown: str | None  # None: it responds that it has no such user
    about: list[str]  # versions, store, server, who hashes, access log


def movie_bag(bench: Bench) -> Product:
    """Serve the product, with as many threads as `make serve` gives it."""
    server = bench.start_product(threads=SERVER_THREADS, JWT_ACCESS_TOKEN_EXPIRES=TOKEN_SECONDS)
    for account in (ACCOUNT, OTHER):
        _post(server, "/api/auth/signup", account)
    token = _post(server, "/api/auth/login", ACCOUNT).json()["token"]
    versions = ", ".join(f"{name} {version(name)}" for name in ("flask", "gunicorn"))
    pool = "a pool of its own in each worker, of low priority"
    return Product(
        "Movie-bag",
        server,
        login=request("POST", "/api/auth/login", OTHER),
        verify=request("GET", "/api/auth/verify", Authorization=f"Bearer {token}"),
        movies=request("GET", PAGE),
        forgot=request("POST", "/api/auth/forgot", {"email": EMAIL}),
        forgot_unknown=request("POST", "/api/auth/forgot", {"email": UNKNOWN_EMAIL}),
        about=[versions, EMBEDDED, f"gunicorn, {CORES} workers, as `make serve`", pool, "on"],
    )


def fastapi_users(bench: Bench) -> Product:
    """Serve fastapi-users."""
    programs = installed.install_python("fastapi_users")
    command = [str(programs / "uvicorn"), "--port", "PORT", "--workers", str(CORES)]
    server = _start(bench, *command, "fastapi_users_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", account)
    form = urlencode({"username": EMAIL, "password": PASSWORD})
    headers = {"Content-Type": FORM}
    login = requests.post(f"{server.url}/login", form, headers=headers, timeout=9).json()
    names = ["fastapi-users", "beanie", "fastapi", "uvicorn"]
    versions = installed.python_versions(programs, *names)
    return Product(
        "fastapi-users",
        server,
        login=request("POST", "/login", form.replace("ada", "eve"), Content_Type=FORM),
        verify=request("GET", "/users/me", Authorization=f"Bearer {login['access_token']}"),
        movies=request("GET", "/movies"),
        forgot=request("POST", "/forgot-password", {"email": EMAIL}),
        forgot_unknown=request("POST", "/forgot-password", {"email": UNKNOWN_EMAIL}),
        about=[versions, EMBEDDED, f"uvicorn, {CORES} workers", "the event loop", "on"],
    )


def flask_security(bench: Bench) -> Product:
    """Serve Flask-Security, which responds 400 to unknown emails."""
    programs = installed.install_python("flask_security")
    server = _start(bench, str(programs / "gunicorn"), *GUNICORN, "flask_security_app:app")
    for account in (ACCOUNT, OTHER):
        _post(server, "/register", {**account, "password_confirm": PASSWORD})
    login = "/login?include_auth_token"
    token = _post(server, login, ACCOUNT).json()["response"]["user"]["authentication_token"]
    versions = installed.python_versions(programs, "flask-security", "mongoengine", "gunicorn")
    return Product(
        "Flask-Security",
        server,
        login=request("POST", login, OTHER),
        verify=request("GET", "/me", Authentication_Token=token),
        movies=request("GET", "/movies"),
        forgot=request("POST", "/reset", {"email": EMAIL}),
        forgot_unknown=None,
        about=[versions, EMBEDDED, GUNICORN_WORDS, "the request's thread", "off"],
    )


def django(bench: Bench) -> Product:
    """Serve Django with djoser and simplejwt, on PostgreSQL."""
    programs = installed.install_python("django")
    database = bench.stop_later(postgres.start(bench.folder))
    env = {"POSTGRES_PORT": database.port, **_environment(bench)}
    fill = f"import django_app; django_app.fill({str(_export_movies(bench))!r})"
    command = [str(programs / "python"), "-c", fill]
    subprocess.run(command, check=True, cwd=installed.PINS, env=environment(**env))
    server = _start(bench, str(programs / "gunicorn"), *GUNICORN, "django_app:app", **env)
    for account in (ACCOUNT, OTHER):
        _post(server, "/auth/users/", {**account, "username": account["email"]})
    user = {"username": EMAIL, "password": PASSWORD}
    token = _post(server, "/auth/jwt/create/", user).json()["access"]
    forgot = "/auth/users/reset_password/"
    names = ["django", "djoser", "djangorestframework-simplejwt", "gunicorn"]
    versions = installed.python_versions(programs, *names)
    store = f"PostgreSQL {postgres.version()}"
    return Product(
        "Django",
        server,
        login=request("POST", "/auth/jwt/create/", {**user, "username": OTHER["email"]}),
        verify=request("GET", "/auth/users/me/", Authorization=f"Bearer {token}"),
        movies=request("GET", "/movies"),
        forgot=request("POST", forgot, {"email": EMAIL}),
        forgot_unknown=request("POST", forgot, {"email": UNKNOWN_EMAIL}),
        about=[versions, store, GUNICORN_WORDS, "the request's thread", "off"],
    )


def better_auth(bench: Bench) -> Product:
    """Serve better-auth on the database of the product."""
    name, versions = "better-auth", installed.node_versions("better-auth", "mongodb")
    return _better_auth(bench, name, versions, EMBEDDED)


def better_auth_sqlite(bench: Bench) -> Product:
    """Serve better-auth with SQLite in its process."""
    files = {"SQLITE": bench.folder / "better-auth.sqlite", "MOVIES": _export_movies(bench)}
    name, versions = "better-auth, SQLite", installed.node_versions("better-auth", "better-sqlite3")
    return _better_auth(bench, name, versions, "SQLite in its process", **files)


def _better_auth(bench: Bench, name: str, versions: str, store: str, **env: Any) -> Product:
    """Serve better-auth: one process, as the examples in its documentation start."""
    program = str(installed.install_better_auth() / "server.js")
    server = _start(bench, "node", program, NODE_ENV="production", **env)
    for account in (ACCOUNT, OTHER):
        _post(server, "/api/auth/sign-up/email", {**account, "name": "Ada"})
    login, forgot = "/api/auth/sign-in/email", "/api/auth/request-password-reset"
    cookies = _post(server, login, ACCOUNT).cookies.items()
    cookie = "; ".join(f"{key}={text}" for key, text in cookies)
    return Product(
        name,
        server,
        login=request("POST", login, OTHER),
        verify=request("GET", "/api/auth/get-session", Cookie=cookie),
        movies=request("GET", "/movies"),
        forgot=request("POST", forgot, {"email": EMAIL}),
        forgot_unknown=request("POST", forgot, {"email": UNKNOWN_EMAIL}),
        about=[versions, store, "Node's, one process", "Node's 4 threads for such work", "off"],
    )


def _start(bench: Bench, *command: str, **env: Any) -> Server:
    """Serve a peer."""
    env = {**_environment(bench), **env}
    return bench.stop_later(Server(bench.folder, *command, cwd=installed.PINS, **env))


def _environment(bench: Bench) -> dict[str, Any]:
    """Return the settings of the peers."""
    settings = {"JWT_SECRET_KEY": SECRET, "TOKEN_SECONDS": TOKEN_SECONDS}
    return {**settings, "MONGODB_URI": bench.uri(), "MAIL_PORT": bench.sink.port}


def _export_movies(bench: Bench) -> Path:
    """Write the movies of the product to a file, a line of JSON for each."""
    path = bench.folder / "movies"
    with MongoClient[dict[str, Any]](bench.uri()) as client, path.open("w") as file:
        for movie in client.get_default_database().movie.find():
            fields = {name: movie[name] for name in ("name", "casts", "genres")}
            ids = {"id": str(movie["_id"]), "added_by": str(movie["added_by"])}
            print(json.dumps({**ids, **fields}), file=file)
    return path


def _post(server: Server, path: str, fields: dict[str, str]) -> requests.Response:
    response = requests.post(server.url + path, json=fields, timeout=30)
    response.raise_for_status()
    return response
