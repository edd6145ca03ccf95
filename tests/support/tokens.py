"""Tokens read and signed by hand, to forge what no library would sign."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from flask import Flask

from database.models import User
from services.link_service import LINKS, encode_link
from services.token_service import PWD_RESET

# The JWT_SECRET_KEY of the tests' application, and one that it does not have.
KEY, OTHER_KEY = (hashlib.sha256(name).hexdigest() for name in (b"a key", b"another key"))
PENDING_CHANGE = {"id": "a" * 24, "email": "new@example.com"}
FORMER_CHANGE = {"id": "b" * 24, "email": "former@example.com", "at": 1_000_000_000.0}


def encode_part(part: Any) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_parts(token: str) -> list[Any]:
    """Return header and claims of a token."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def sign(header: Any, claims: Any, key: str = KEY, digest: str = "sha256") -> str:
    text = f"{encode_part(header)}.{encode_part(claims)}"
    return f"{text}.{encode_part(hmac.digest(key.encode(), text.encode(), digest))}"


def store_changes(user: User) -> User:
    """Store a change of the email that waits, one that can be undone, and an invitation.

    So each link has a use.
    """
    former = {key: FORMER_CHANGE[key] for key in ("email", "at")}
    user.modify(
        set__pending_change=PENDING_CHANGE,
        set__invited_at=time.time(),
        **{f"set__former_emails__{FORMER_CHANGE['id']}": former},
    )
    return user


def link_token(app: Flask, user: User, scope: str) -> str:
    """Return the token of a link of user, as the worker would mail it."""
    with app.app_context():
        return encode_link(LINKS[scope], user).rpartition("/")[2]


def reset_token(app: Flask, user: User) -> str:
    """Return a reset token of user."""
    return link_token(app, user, PWD_RESET)
