"""The demo: a small front end that uses the API, in development alone."""

from flask import Response, send_from_directory
from flask.views import MethodView

from setting_sources import HOME
from web.pages import POLICY

FOLDER = HOME / "demo"
# The QR code of an authenticator app is a data: URI.
DEMO_POLICY = POLICY.replace("img-src", "img-src data:")


class Demo(MethodView):
    """Its page, or a module or style of it."""

    def get(self, path: str = "index.html") -> Response:
        """Send the file."""
        response = send_from_directory(FOLDER, path)
        response.headers["Content-Security-Policy"] = DEMO_POLICY
        return response
