"""Generate the clients from the OpenAPI document: `python -m scripts.clients`, which make runs.

Their sessions are written by hand; of what is generated, git has the types of TypeScript alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.reference.application import document
from setting_sources import HOME

FOLDER = HOME / "clients"
TYPESCRIPT = "typescript/src/api.ts"
PYTHON = "python/movie_bag_client"
NPM = HOME / ".venv/npm/node_modules/.bin"
BIN = Path(sys.executable).parent
PYTHON_GENERATOR = BIN / "openapi-python-client"


@contextmanager
def document_file() -> Iterator[Path]:
    """Write the document to a file, until the end of the block."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(document()), "utf-8")
        yield path


def write_typescript(folder: Path) -> None:
    """Write the types of the document, with openapi-typescript of `make browser`."""
    with document_file() as path:
        _run(NPM / "openapi-typescript", path, "--output", folder / TYPESCRIPT)


def write_python(folder: Path) -> None:
    """Write the package, with openapi-python-client."""
    with document_file() as path:
        output = ("--meta", "none", "--output-path", folder / PYTHON, "--overwrite")
        _run(PYTHON_GENERATOR, "generate", "--fail-on-warning", "--path", path, *output)


def _run(*command: str | Path) -> None:
    # openapi-python-client formats what it has written with ruff.
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    write_typescript(FOLDER)
    write_python(FOLDER)
