"""The development server: `python run.py`, or `make run`."""

import logging
import signal
import sys

import waitress
from flask import Flask

from app import create_app
from config import DEVELOPMENT, SettingsError
from services.hashing import THREADS

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve on HOST and PORT until SIGINT or SIGTERM; the mail in hand has a few seconds then."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    try:
        app = create_app()
        app.extensions["exporter"].start()
    except SettingsError as error:
        sys.exit(str(error))
    host, port = app.config["HOST"], app.config["PORT"]
    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            ident=None,
            clear_untrusted_proxy_headers=False,  # TRUSTED_PROXIES says what they are worth
        )
    except (OSError, ValueError) as error:
        sys.exit(f"Can't listen on {host}:{port}: {error}. Set HOST or PORT.")
    app.extensions["outbox"].start()
    if app.config["APP_ENV"] == DEVELOPMENT:
        print(_greeting(app), flush=True)
    else:
        logger.info("Movie-bag is on %s:%s", host, port)
    server.run()
    app.extensions["outbox"].stop()


def _greeting(app: Flask) -> str:
    config = app.config
    address = f"http://{config['HOST']}:{config['PORT']}"
    smtp = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    mails = smtp if config["MAIL_SERVER"] else config["DATA_DIR"] / "email.log"
    database = "MONGODB_URI" if config["MONGODB_URI"] else config["DATA_DIR"] / "database"
    return f"""
Movie-bag is on {address}: open it to look around
  mails go to {mails}
  the database is {database}

Try this next:
  curl {address}/api/auth/signup -H 'Content-Type: application/json' \\
    -d '{{"email": "ada@example.com", "password": "correct horse battery"}}'
"""


if __name__ == "__main__":
    main()
