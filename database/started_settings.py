"""The settings of the last start, as digests: a later start tells which were changed."""

from mongoengine.connection import get_db

COLLECTION = "started_settings"


def replace_digests(digests: dict[str, str]) -> dict[str, str] | None:
    """Store the digests of the settings by name, and return those of the last start, if any.

    Of several processes that start at once, one gets those of before.
    """
    update = {"$set": {"digests": digests}}
    before = get_db()[COLLECTION].find_one_and_update({"_id": "current"}, update, upsert=True)
    return before and dict(before["digests"])
