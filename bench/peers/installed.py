"""Installs each peer from the package index, with what its file here pins, into .venv/peers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers import postgres
from tests.support.processes import HOME

PINS = HOME / "bench" / "peers"
PEERS = HOME / ".venv" / "peers"
BETTER_AUTH = PEERS / "better_auth"


def require_programs() -> None:
    """Exit with what to install, if a program is missing that no package index has."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    missing += [name for name in ("initdb", "postgres") if not postgres.program(name)]
    if missing:
        sys.exit(
            f"Missing: {', '.join(missing)}. Install Node 20 or later with npm, and PostgreSQL; "
            "on Debian 13: apt-get install npm postgresql"
        )


def install_python(name: str) -> Path:
    """Return the folder of the programs of a virtual environment with what name.txt pins."""
    pins, venv = PINS / f"{name}.txt", PEERS / name
    if _begin(venv, pins):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(pins)], check=True)
        _end(venv, pins)
    return venv / "bin"


def install_better_auth() -> Path:
    """Return a folder with the programs of better_auth/ and what its package.json pins."""
    source = PINS / "better_auth"
    outdated = _begin(BETTER_AUTH, source / "package.json")
    shutil.copytree(source, BETTER_AUTH, dirs_exist_ok=True)
    if outdated:
        npm = ["npm", "install", "--no-package-lock", "--silent"]
        subprocess.run(npm, check=True, cwd=BETTER_AUTH)
        _end(BETTER_AUTH, source / "package.json")
    return BETTER_AUTH


def _begin(folder: Path, pins: Path) -> bool:
    """Return whether to install: nothing is installed, or something with other pins."""
    marker = folder / "installed"
    if marker.exists() and marker.read_text() == pins.read_text():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _end(folder: Path, pins: Path) -> None:
    (folder / "installed").write_text(pins.read_text())


def python_versions(programs: Path, *names: str) -> str:
    """Return the versions of packages, in words."""
    code = f"from importlib.metadata import version as v; print(*map(v, {names!r}))"
    found = _output(str(programs / "python"), "-c", code).split()
    return ", ".join(f"{name} {version}" for name, version in zip(names, found, strict=True))


def node_versions(*names: str) -> str:
    """Return the versions of packages of better-auth's program, and of Node, in words."""
    pins = json.loads((PINS / "better_auth" / "package.json").read_text())["dependencies"]
    packages = [f"{name} {pins[name]}" for name in names]
    return ", ".join([*packages, f"Node {_output('node', '--version').strip().removeprefix('v')}"])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
