"""The embedded database by itself: `python -m database.embedded FOLDER`, until Ctrl-C.

For trying out: other programs, and the chapters of the book, use it as their MongoDB.
"""

import signal
import sys
from pathlib import Path

from database.embedded.server import EmbeddedDatabase


def main(folder: Path) -> None:
    """Run the database with its files in folder; print the line to type in other terminals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    database = EmbeddedDatabase(folder)
    server, _, options = database.start().rpartition("/")
    print(f"export MONGODB_URI='{server}/book{options}'", flush=True)
    try:
        signal.pause()
    finally:
        database.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Type: python -m database.embedded FOLDER")
    main(Path(sys.argv[1]))
