"""An application that fails in the ways that PEP 3333 leaves open, for gunicorn's worker."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from deploy.gunicorn_worker import STOP_SECONDS

WHOLE = b"whole"
# More than the buffers of a connection hold.
LONG = b"x" * 1_000_000
# A worker that stops has closed the connections that were idle by then.
SLOW_SECONDS = STOP_SECONDS + 0.5


class FailsAtClose:
    """A body whose end fails after all of it was sent."""

    def __iter__(self) -> Iterator[bytes]:
        """Return the body."""
        return iter([WHOLE])

    def close(self) -> None:
        raise ValueError("at the end")


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/exit":
        sys.exit(1)
    if path == "/panic":
        raise GeneratorExit  # as a panic in a library in Rust, it is no Exception
    if path == "/timeout":
        raise TimeoutError("of a database")
    if path == "/slow":
        time.sleep(SLOW_SECONDS)
    body: dict[str, tuple[int, Iterable[bytes]]] = {
        "/close": (len(WHOLE), FailsAtClose()),
        "/long": (len(LONG) * 50, [LONG] * 50),
    }
    length, parts = body.get(path, (len(WHOLE), [WHOLE]))
    start_response("200 OK", [("Content-Length", str(length))])
    return parts
