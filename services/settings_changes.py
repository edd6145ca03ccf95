"""Which settings were changed since the last start (OWASP ASVS 5.0, 16.3.4): their names alone."""

from collections.abc import Mapping
from typing import Any

from config import SettingsSchema
from database.started_settings import replace_digests
from infra.pseudonym import pseudonym
from services import event_service
from services.event_service import Event

# They differ between the machines of one service.
OF_A_MACHINE = {"HOST", "PORT", "DATA_DIR", "METRICS_HOST", "METRICS_PORT"}
NAMES = sorted(SettingsSchema().fields.keys() - OF_A_MACHINE)


def record_changes(config: Mapping[str, Any]) -> None:
    """Record the names of the settings that were others at the last start.

    Raises:
        PyMongoError: the database is away.
    """
    keys = config["JWT_SECRET_KEYS"]
    before = replace_digests({name: _digest(config, name, keys[0]) for name in NAMES})
    changed = [
        name
        for name, digest in (before or {}).items()
        # The key may be what was changed: the list has the former one.
        if name in config and digest not in {_digest(config, name, key) for key in keys}
    ]
    if len(changed) == len(NAMES):  # the key was replaced: nothing is known of the others
        changed = ["JWT_SECRET_KEY"]
    if changed:
        event_service.record(Event.SETTINGS_CHANGED, names=",".join(changed))


def _digest(config: Mapping[str, Any], name: str, key: str) -> str:
    return pseudonym(f"{name}={config[name]}", key)
