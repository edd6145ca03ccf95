"""The log of security events: who did what, and from where (OWASP ASVS 5.0, 16.3)."""

import logging


def write(event: str, *, log: str = __name__, **details: str | None) -> None:
    """Log an event as `event=login user=… ip=…`; details without a value are left out.

    `log` is the name of another log for events that are about no security.
    """
    given = {"event": event} | {name: value for name, value in details.items() if value}
    line = " ".join(f"{name}={value}" for name, value in given.items())
    logging.getLogger(log).info(line, extra=given)
