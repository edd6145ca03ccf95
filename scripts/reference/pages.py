"""The reference pages: which there are, and where they are written."""

from collections.abc import Callable

from scripts.reference import api, commands, errors, events, metrics, settings
from setting_sources import HOME

FOLDER = HOME / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "api.md": api.render,
    "commands.md": commands.render,
    "errors.md": errors.render,
    "events.md": events.render,
    "metrics.md": metrics.render,
    "settings.md": settings.render,
}


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (FOLDER / name).write_text(render(), "utf-8")
