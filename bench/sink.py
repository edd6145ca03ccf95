"""A mail server that accepts everything: `python -m bench.sink PORT SECONDS_PER_EMAIL`.

It prints a line of JSON for each email: when it was received, and its content.
"""

import asyncio
import json
import sys
import time
from typing import Any

from aiosmtpd.smtp import SMTP


class Sink:
    """An aiosmtpd handler that waits before it replies."""

    def __init__(self, seconds: float) -> None:
        """Wait so long for each email."""
        self._seconds = seconds

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Print an email."""
        await asyncio.sleep(self._seconds)
        print(json.dumps([time.time(), envelope.content.decode()]), flush=True)
        return "250 OK"


async def _serve(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(seconds)), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
