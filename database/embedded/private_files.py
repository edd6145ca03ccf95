"""DATA_DIR belongs to its user alone: it holds keys, reset links and the database."""

import fcntl
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from production_checks import SECRET_BYTES

OF_OTHERS = 0o077
WRITABLE_BY_OTHERS = 0o022

logger = logging.getLogger(__name__)


class KeyFile(NamedTuple):
    """The file of a key that development makes, and what is lost with that key."""

    name: str
    loss: str


# By the setting.
KEY_FILES = {
    "JWT_SECRET_KEY": KeyFile("jwt_secret", "every token is void"),
    "SECRETS_KEY": KeyFile("secrets_key", "no second factor that it encrypted can be read"),
}


class ForeignFileError(OSError):
    """A file in DATA_DIR that another user made, or that leads elsewhere."""


@contextmanager
def private_folder(data_dir: Path) -> Iterator[None]:
    """Create data_dir, or take from others what they may do there; one process at a time.

    Raises:
        ForeignFileError: something in it may have been planted.
        OSError: it can't be created.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _make_private(data_dir)
        yield
    finally:
        os.close(descriptor)


def development_key(data_dir: Path, setting: str) -> str:
    """Return the key stored in data_dir, the same for all processes; make one if need be.

    Call it within private_folder.
    """
    path = data_dir / KEY_FILES[setting].name
    if path.exists() and not _is_key(path.read_bytes()):
        _discard_key(path, "is no key", KEY_FILES[setting].loss)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
    return path.read_text()


def _is_key(data: bytes) -> bool:
    """Return whether this can sign; a process that ended while it wrote left less."""
    return len(data) >= SECRET_BYTES and data.isascii() and data.decode().isprintable()


def _make_private(data_dir: Path) -> None:
    was_writable = _mode(data_dir) & WRITABLE_BY_OTHERS
    for path in (data_dir, *data_dir.rglob("*")):
        with suppress(FileNotFoundError):  # the database removes some
            _refuse_foreign(path)
    # Not that of stored secrets, which can't be read without it.
    name, loss = KEY_FILES["JWT_SECRET_KEY"]
    key = data_dir / name
    if key.exists() and (was_writable or _mode(key) & OF_OTHERS):
        _discard_key(key, "could be read or written by others", loss)
    for path in (data_dir, *data_dir.rglob("*")):
        with suppress(FileNotFoundError):
            _close_to_others(path, data_dir)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _refuse_foreign(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != os.getuid():
        raise ForeignFileError(
            f"{path} belongs to another user: remove it, or chown it if it is yours."
        )
    if not (
        stat.S_ISREG(status.st_mode)
        or stat.S_ISDIR(status.st_mode)
        or stat.S_ISSOCK(status.st_mode)
    ):
        raise ForeignFileError(f"{path} is neither a file nor a folder: remove it.")


def _close_to_others(path: Path, data_dir: Path) -> None:
    mode = _mode(path)
    if not mode & OF_OTHERS:
        return
    path.chmod(mode & ~OF_OTHERS)
    if path.parent in (data_dir, data_dir.parent):  # deeper ones are closed by their folder
        logger.warning("%s had mode %03o: others can't use it any more", path, mode)


def _discard_key(path: Path, reason: str, loss: str) -> None:
    path.unlink()
    logger.warning("%s %s: there is a new one, and %s", path, reason, loss)
