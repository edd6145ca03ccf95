"""`python -m deploy.healthcheck`: whether the server of this container is alive, for Docker.

It runs often, so it imports no more than it needs: the image sets PORT.
"""

import os
import sys
from contextlib import closing
from http.client import HTTPConnection

TIMEOUT_SECONDS = 2


def main() -> None:
    """Exit with status 1 unless /healthz answers with 200."""
    server = HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=TIMEOUT_SECONDS)
    try:
        with closing(server):
            server.request("GET", "/healthz")
            is_alive = server.getresponse().status == 200
    except OSError:
        is_alive = False
    sys.exit(not is_alive)


if __name__ == "__main__":
    main()
