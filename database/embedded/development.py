"""What development creates by itself and production must configure."""

import atexit
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from config import SECRET_BYTES, SettingsError
from database.embedded.server import EmbeddedDatabase

KEY_FILE = "jwt_secret"


def prepare_development(config: dict[str, Any]) -> None:
    """Create DATA_DIR, and a signing key and a database in it unless they are configured.

    Raises:
        SettingsError: DATA_DIR can't be used.
    """
    data_dir: Path = config["DATA_DIR"]
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not config["JWT_SECRET_KEYS"]:
            config["JWT_SECRET_KEY"] = development_key(data_dir)
            config["JWT_SECRET_KEYS"] = [config["JWT_SECRET_KEY"]]
        if config["MONGODB_URI"] is None:
            config["MONGODB_URI"] = _start_database(data_dir)
    except OSError as error:
        raise SettingsError({"DATA_DIR": [str(error)]}) from None


def development_key(data_dir: Path) -> str:
    """Return the signing key stored in data_dir, the same for all processes."""
    path = data_dir / KEY_FILE
    draft = data_dir / f"jwt_secret.{secrets.token_hex(4)}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):  # of two processes one creates it, and both read it
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()


def _start_database(data_dir: Path) -> str:
    embedded = EmbeddedDatabase(data_dir)
    uri = embedded.start()
    atexit.register(embedded.stop)
    return uri
