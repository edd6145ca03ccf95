"""A mail server that takes what it is given: `python -m bench.sink PORT SECONDS_A_MAIL`.

It prints a line for each mail, in JSON: when it had come, and what it was.
"""

import asyncio
import json
import sys
import time
from typing import Any

from aiosmtpd.smtp import SMTP


class Sink:
    """An aiosmtpd handler that takes its time."""

    def __init__(self, seconds: float) -> None:
        """Take so long for each mail."""
        self._seconds = seconds

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Tell of a mail."""
        await asyncio.sleep(self._seconds)
        print(json.dumps([time.time(), envelope.content.decode()]), flush=True)
        return "250 OK"


async def _serve(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(seconds)), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
