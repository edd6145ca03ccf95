"""The log of security events: who did what, and from where (OWASP ASVS 5.0, 16.3)."""

import logging

logger = logging.getLogger(__name__)


def write(event: str, **details: str | None) -> None:
    """Log an event as `event=login user=… ip=…`; details without a value are left out."""
    given = {"event": event} | {name: value for name, value in details.items() if value}
    logger.info(" ".join(f"{name}={value}" for name, value in given.items()), extra=given)
