"""What stands for an address where the address itself must not be kept."""

import hmac

from flask import current_app


def fingerprint(text: str) -> str:
    """Return 12 hex digits that tell one text from another, and that only we can make."""
    key = current_app.config["JWT_SECRET_KEY"].encode()
    return hmac.digest(key, text.encode(), "sha256").hex()[:12]
