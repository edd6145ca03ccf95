"""A range API of stolen passwords on loopback, of which a test sets the answers."""

import hashlib
from http.server import BaseHTTPRequestHandler

from tests.support.scripted_server import ScriptedServer, respond


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


class RangeServer(ScriptedServer):
    """The API: it knows the passwords in `stolen`, unless a test sets another `handler`."""

    def __init__(self) -> None:
        super().__init__()
        self.stolen: list[str] = []
        self.paths: list[str] = []
        self.paddings: list[str | None] = []

    @property
    def url(self) -> str:
        """Return what PASSWORD_BREACHED has."""
        return f"http://127.0.0.1:{self.server.server_port}/range/"

    def note(self, request: BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        self.paddings.append(request.headers["Add-Padding"])

    def succeed(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as haveibeenpwned.com does, with a line of padding."""
        prefix = request.path[-5:]
        digests = [digest[5:] for digest in map(sha1, self.stolen) if digest.startswith(prefix)]
        respond(request, "\r\n".join([f"{'0' * 34}A:0", *(f"{it}:3" for it in digests)]).encode())
