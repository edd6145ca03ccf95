"""All that is stored, to store it again between the ways in which requests may meet."""

from collections.abc import Callable

from mongoengine.connection import get_db

from database.documents import DOCUMENTS


def snapshot() -> Callable[[], None]:
    """Return a function that stores again all that is stored now, and nothing else."""
    stored = {document: list(document.objects.as_pymongo()) for document in DOCUMENTS}

    def restore() -> None:
        for document, copies in stored.items():
            collection = get_db()[document._get_collection_name()]
            collection.delete_many({})
            if copies:
                collection.insert_many(copies)

    return restore
