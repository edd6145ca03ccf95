"""The documentation as a site, in development, if `make docs` has built it."""

import os
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from flask import current_app, redirect, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from config import DEVELOPMENT
from setting_sources import HOME
from web.pages import STYLED_POLICY

SITE = HOME / "site"
URL = "/book/"
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def is_served() -> bool:
    """Return whether this is development and the site is built."""
    return current_app.config["APP_ENV"] == DEVELOPMENT and (SITE / "index.html").is_file()


class Book(MethodView):
    """A page or another file of the site."""

    def get(self, path: str = "") -> ResponseReturnValue:
        """Send the file, of a folder its index.html."""
        if not is_served():
            raise NotFound("The book is not built. Type: make docs")
        file = safe_join(str(SITE), path)
        if file and os.path.isdir(file):
            if not request.path.endswith("/"):  # relative links would miss the folder
                return redirect(f"{URL}{path}/" if path else URL)
            path += "index.html"
        response = send_from_directory(SITE, path)
        response.headers["Content-Security-Policy"] = _policy(SITE / path)
        return response


def _policy(file: Path) -> str:
    """Return a policy that allows the scripts in a page by their hashes."""
    scripts = INLINE_SCRIPT.findall(file.read_bytes()) if file.suffix == ".html" else []
    hashes = [f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts]
    return STYLED_POLICY.replace("script-src", " ".join(["script-src", *hashes]))
