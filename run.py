"""The development server: `python run.py`, or `make run`."""

import logging
import signal
import sys
from ipaddress import ip_address

from flask import Flask

from app import create_app
from config import DEVELOPMENT
from database.db import without_credentials
from infra.http_server import Server, create_server
from infra.password_hashing import SERVER_THREADS
from setting_sources import SettingsError
from setting_values import DEVELOPMENT_LIMIT_FACTOR

IPV6 = 6
LOOPBACK = {4: "127.0.0.1", IPV6: "::1"}

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve on HOST and PORT until SIGINT or SIGTERM; the current job has a few seconds then."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    try:
        app = create_app()
        app.extensions["start_metrics"]()
    except SettingsError as error:
        sys.exit(str(error))
    server = _listen(app)
    app.extensions["workers"].start()
    if app.config["APP_ENV"] == DEVELOPMENT:
        print(_greeting(app), flush=True)
    else:
        logger.info("Movie-bag is on %s:%s", app.config["HOST"], app.config["PORT"])
    server.run()
    app.extensions["workers"].stop()


def _listen(app: Flask) -> Server:
    host, port = app.config["HOST"], app.config["PORT"]
    try:
        return create_server(app, SERVER_THREADS, host=host, port=port)
    except (OSError, ValueError) as error:
        sys.exit(f"Can't listen on {host}:{port}: {error}. Set HOST or PORT.")


def _greeting(app: Flask) -> str:
    config = app.config
    url = f"http://{_host_to_open(config['HOST'])}:{config['PORT']}"
    smtp = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    emails = smtp if config["MAIL_SERVER"] else config["DATA_DIR"] / "email.log"
    return f"""
Movie-bag is on {url}: open it to look around
  a front end to try it is on {config["PUBLIC_URL"]}/demo
  emails go to {emails}
  the database is {without_credentials(config["MONGODB_URI"])}
  limits are {DEVELOPMENT_LIMIT_FACTOR} times those of production: RATELIMIT_… in .env.example

Try this next:
  curl {url}/api/auth/signup -H 'Content-Type: application/json' \\
    -d '{{"email": "ada@example.com", "password": "correct horse battery"}}'
"""


def _host_to_open(host: str) -> str:
    """Return a host that a browser on this machine opens: 0.0.0.0 and :: only listen."""
    try:
        ip = ip_address(host)
    except ValueError:
        return host
    ip = ip_address(LOOPBACK[ip.version]) if ip.is_unspecified else ip
    return f"[{ip}]" if ip.version == IPV6 else str(ip)


if __name__ == "__main__":
    main()
