"""Signatures of webhooks, as Standard Webhooks has them (standardwebhooks.com)."""

import base64
import hmac
from collections.abc import Iterable


def sign(secrets: Iterable[str], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook that is sent at timestamp, with a signature by each secret.

    A secret is `whsec_` and the base64 of a key.
    """
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
