"""A temporary PostgreSQL, by the programs that `apt-get install postgresql` brings."""

import os
import shutil
import subprocess
from pathlib import Path

from bench.servers import Server

PROGRAMS = os.pathsep.join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
USER = "postgres"


def program(name: str) -> str | None:
    """Return the path of one of its programs, None if it is not installed."""
    return shutil.which(name, path=PROGRAMS)


def version() -> str:
    """Return its version."""
    command = [str(program("postgres")), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[2]


def start(folder: Path) -> Server:
    """Serve a new cluster with its defaults, in a subfolder; every local user may connect."""
    cluster = folder / "postgres"
    cluster.mkdir()
    user = []
    if os.geteuid() == 0:  # which PostgreSQL refuses
        folder.chmod(0o711)
        shutil.chown(cluster, USER, USER)
        user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    initdb = [*user, str(program("initdb")), "--pgdata", str(cluster), "--username", USER]
    subprocess.run(initdb, check=True, cwd=cluster, stdout=subprocess.DEVNULL)
    command = [*user, str(program("postgres")), "-D", str(cluster), "-p", "PORT", "-k", ""]
    return Server(folder, *command, cwd=cluster)
