"""The log of security events: who did what, and from where (OWASP ASVS 5.0, 16.3)."""

import logging

from flask import g, has_request_context, request

from services import metrics
from services.fingerprint import fingerprint

logger = logging.getLogger(__name__)


def record(event: str, *, user_id: object = "-", email: str | None = None) -> None:
    """Log and count an event, with who did it if that was another user.

    An address appears as a fingerprint that only we can make.
    """
    facts = {"event": event, "user": str(user_id)}
    actor_id = g.get("actor_id", user_id)
    if actor_id != user_id:
        facts["by"] = str(actor_id)
    facts["ip"] = str(request.remote_addr) if has_request_context() else "shell"
    if email:
        facts["address"] = fingerprint(email)
    logger.info(" ".join(f"{name}={fact}" for name, fact in facts.items()), extra=facts)
    metrics.EVENTS.labels(event).inc()
