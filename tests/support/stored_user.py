"""The one user of a test as stored: to compare, and to restore between examples."""

from typing import Any

from mongoengine.connection import get_db


def read_stored_user() -> dict[str, Any]:
    stored: dict[str, Any] = get_db()["user"].find_one()
    return stored


def restore_user(stored: dict[str, Any]) -> None:
    """Delete all users and store this one."""
    users = get_db()["user"]
    users.delete_many({})
    users.insert_one(dict(stored))
