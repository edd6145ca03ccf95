"""The keys of tokens: which sign and verify those of a scope, and which are published."""

import hashlib
from functools import lru_cache

from flask import current_app

from private_keys import TokenKey

# Of tokens that this service alone verifies; others verify those of private keys.
SYMMETRIC = "HS256"
# How long other services may keep the list of public keys.
PUBLISHED_SECONDS = 300


def keys_of_secrets() -> tuple[TokenKey, ...]:
    """Return the keys of JWT_SECRET_KEY: the first signs, all verify."""
    return tuple(map(_of_secret, current_app.config["JWT_SECRET_KEYS"]))


def keys_of_access_tokens() -> tuple[TokenKey, ...]:
    """Return the keys of access tokens, private ones if there are some: the first signs."""
    private: tuple[TokenKey, ...] = current_app.config["JWT_PRIVATE_KEYS"]
    return private or keys_of_secrets()


def published_keys() -> list[dict[str, str]]:
    """Return the public keys of access tokens for other services (RFC 7517)."""
    return [*{key.kid: key.jwk for key in current_app.config["JWT_PRIVATE_KEYS"]}.values()]


def key_id(secret: str) -> str:
    """Return the `kid` of tokens that this secret signs."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


@lru_cache
def _of_secret(secret: str) -> TokenKey:
    return TokenKey(key_id(secret), SYMMETRIC, "JWT_SECRET_KEY", secret, secret)
