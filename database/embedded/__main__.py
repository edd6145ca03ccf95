"""The embedded database by itself: `python -m database.embedded FOLDER`, until Ctrl-C.

For trying out: other programs, and the chapters of the book, use it as their MongoDB.
"""

import signal
import sys
from pathlib import Path

from database.embedded.server import EmbeddedDatabase


def main(folder: Path) -> None:
    """Run the database with its files in folder; print the line that other terminals need."""
    database = EmbeddedDatabase(folder)
    uri = database.start()
    address, _, options = uri.rpartition("/")
    print(f"export MONGODB_URI='{address}/book{options}'", flush=True)
    signal.sigwait([signal.SIGINT, signal.SIGTERM])
    database.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Type: python -m database.embedded FOLDER")
    main(Path(sys.argv[1]))
