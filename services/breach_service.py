"""Passwords that are in a list of stolen ones: PASSWORD_BREACHED names a file or a range API."""

import logging

from flask import current_app

from config import CLOSED
from infra import breached_passwords, metrics
from infra.breached_passwords import LookupFailed
from services.errors import ServiceUnavailableError

REASON = "This password is in a list of stolen passwords."

logger = logging.getLogger(__name__)


def is_breached(password: str) -> bool:
    """Return whether a password is in the list, if there is one (NIST SP 800-63B §3.1.1.2).

    Where it can't be looked up, PASSWORD_BREACHED_FAIL says whether to accept it.

    Raises:
        ServiceUnavailableError: it can't be looked up, and must be.
    """
    where, fail = (current_app.config[f"PASSWORD_BREACHED{it}"] for it in ("", "_FAIL"))
    if where is None:
        return False
    try:
        return breached_passwords.contains(where, password)
    except LookupFailed as error:
        metrics.UNAVAILABLE.labels(metrics.BREACHED_PASSWORDS).inc()
        is_closed = fail == CLOSED
        outcome = "refused" if is_closed else "accepted unchecked"
        logger.warning("PASSWORD_BREACHED can't be read, so a password is %s: %s", outcome, error)
        if is_closed:
            raise ServiceUnavailableError from None
        return False
