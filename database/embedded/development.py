"""What development creates by itself and production must configure."""

import atexit
from pathlib import Path
from typing import Any

from database.embedded.private_files import KEY_FILES, development_key, private_folder
from database.embedded.server import EmbeddedDatabase
from setting_sources import SettingsError


def prepare_development(config: dict[str, Any]) -> None:
    """Make DATA_DIR private, with keys and a database unless they are configured.

    Raises:
        SettingsError: DATA_DIR can't be used.
    """
    data_dir: Path = config["DATA_DIR"]
    try:
        with private_folder(data_dir):
            for name in KEY_FILES:
                if not config[f"{name}S"]:
                    config[name] = development_key(data_dir, name)
                    config[f"{name}S"] = [config[name]]
        if config["MONGODB_URI"] is None:
            config["MONGODB_URI"] = _start_database(data_dir)
    except OSError as error:
        raise SettingsError({"DATA_DIR": [str(error)]}) from None


def _start_database(data_dir: Path) -> str:
    embedded = EmbeddedDatabase(data_dir)
    uri = embedded.start()
    atexit.register(embedded.stop)
    return uri
