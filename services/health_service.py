"""How the product is: whether it can serve, and what waits in the outbox."""

import logging
import time
from typing import Any

import pymongo

from database.db import DATABASE_ERRORS
from database.models import Mail
from services.errors import ServiceUnavailableError
from services.outbox import FORGET

# Who asks for the health must not wait as long as a user would.
DATABASE_SECONDS = 2.0
LATE_SECONDS = 300.0
# A longer queue counts as this long: counting it would cost the database more than it tells.
MAX_COUNTED = 1_000

logger = logging.getLogger(__name__)


def check() -> None:
    """Raise ServiceUnavailableError, which says what is missing, unless all is there.

    Missing is a database that doesn't answer, or a way for mails: the oldest has been waiting
    for LATE_SECONDS.
    """
    try:
        late = oldest_mail() > LATE_SECONDS
    except DATABASE_ERRORS as error:
        logger.warning("Not ready: database: %s", error)
        raise ServiceUnavailableError(errors={"database": ["It doesn't answer."]}) from None
    if late:
        sentence = f"The oldest has been waiting for over {LATE_SECONDS / 60:.0f} minutes."
        raise ServiceUnavailableError(errors={"mail": [sentence]})


def oldest_mail() -> float:
    """Return how many seconds the oldest mail has been waiting, 0 when there is none.

    However often it was tried: a claim moves `due_at`, never `created_at`. Raises one of
    DATABASE_ERRORS, within DATABASE_SECONDS.
    """
    with pymongo.timeout(DATABASE_SECONDS):
        oldest = _waiting().order_by("created_at").only("created_at").first()
    return max(time.time() - oldest.created_at, 0.0) if oldest else 0.0


def waiting_mails() -> int:
    """Return how many mails wait, at most MAX_COUNTED.

    Raises one of DATABASE_ERRORS, within DATABASE_SECONDS.
    """
    with pymongo.timeout(DATABASE_SECONDS):
        return sum(1 for _ in _waiting().only("id").limit(MAX_COUNTED).as_pymongo())


def _waiting() -> Any:
    return Mail.objects(state=Mail.WAITING, kind__ne=FORGET)
