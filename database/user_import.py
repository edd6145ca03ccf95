"""Many users at once, who keep their hashes of another system."""

import time

from bson import ObjectId

from database.db import insert_missing
from database.emails import ReservedEmail
from database.models import Stored, User


def insert_new(users: list[Stored]) -> int:
    """Insert the users whose email no user has, and none may restore; return how many those were.

    A user who leaves an email reserves it first: so it is looked up again after the insert.
    """
    reserved = _reserved(users)
    free = [{**user, "_id": ObjectId()} for user in users if user["email"] not in reserved]
    added = insert_missing(User._get_collection(), free) if free else 0
    taken = _reserved(free)
    withdrawn = [user["_id"] for user in free if user["email"] in taken]
    return added - (int(User.objects(id__in=withdrawn).delete()) if withdrawn else 0)


def _reserved(users: list[Stored]) -> set[str]:
    emails = [user["email"] for user in users]
    found = ReservedEmail.objects(email__in=emails, until__gt=time.time()).only("email")
    return {reserved.email for reserved in found}
