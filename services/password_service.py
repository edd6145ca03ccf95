"""Passwords: how they are verified, which are strong enough, how they are changed and reset.

Hashes and estimates of strength take a quarter of a second of a core each. They run in a bounded
pool of threads (infra/password_hashing.py), so that other requests are not slowed down.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from flask import current_app, g

from database.api_keys import NO_KEYS
from database.hash_kinds import HashKind
from database.models import Stored, User
from infra import metrics, password_hashing
from infra.password_hashing import PoolFull, normalize
from infra.password_strength import estimate_strength
from services import (
    breach_service,
    errors,
    event_service,
    mail_queue,
    notice_service,
    rate_limit_service,
    session_grace,
    session_service,
)
from services.event_service import Event
from services.link_service import LINKS, open_current_link
from services.mail_kinds import PASSWORD_CHANGED, RESET_PASSWORD
from services.token_claims import Claims
from services.token_service import PWD_RESET

MAX_LENGTH = 128


@contextmanager
def _pool_errors() -> Iterator[None]:
    """Raise ServiceUnavailableError if the hashing pool is full."""
    try:
        yield
    except PoolFull:
        metrics.UNAVAILABLE.labels(metrics.HASHING_POOL).inc()
        raise errors.ServiceUnavailableError from None


def hash_password(password: str) -> str:
    """Return the bcrypt hash of password, of any length: it is normalised and prehashed.

    Raises:
        ServiceUnavailableError: the hashing pool is full.
    """
    with _pool_errors():
        return password_hashing.hash_password(password, current_app.config["BCRYPT_LOG_ROUNDS"])


def verify_password(user: User, password: str) -> bool:
    """Return whether this is the password of user.

    Without one it takes the same time, so that timing does not reveal who has an account.

    Raises:
        ServiceUnavailableError: the hashing pool is full.
    """
    rounds, foreign = current_app.config["BCRYPT_LOG_ROUNDS"], HashKind.costs()
    with _pool_errors():
        return password_hashing.verify_password(password, user.password, rounds, foreign)


def upgrade_hash(user: User, password: str) -> None:
    """Replace a hash of fewer rounds or an earlier version; password has just been verified."""
    rounds = current_app.config["BCRYPT_LOG_ROUNDS"]
    if password_hashing.is_outdated(password, user.password, rounds):
        user.replace_hash(hash_password(password))


def verify_current_password(user: User, password: str | None) -> None:
    """Verify the password of a user who is logged in, whose access token may be stolen.

    Raises:
        SchemaValidationError: it is missing or wrong.
        TooManyRequestsError: the user has tried too often.
    """
    if password is None:
        raise _invalid_current_password(errors.MISSING_FIELD)
    rate_limit_service.hit("PASSWORD_PER_USER", str(user.id))
    _verify_counted_password(user, password)


def _verify_counted_password(user: User, password: str) -> None:
    if not verify_password(user, password):
        event_service.record(Event.PASSWORD_REFUSED, user_id=user.id)
        raise _invalid_current_password("Wrong password.")


def _invalid_current_password(reason: str) -> errors.SchemaValidationError:
    return errors.SchemaValidationError({"current_password": [reason]})


def weaknesses(password: str, owner: User) -> list[str]:
    """Return why a new password is not accepted: it is too short, too long or easy to guess.

    There are no composition rules (NIST SP 800-63B §3.1.1.2). The words of the owner's email and
    name and PASSWORD_WORDS count as guessable, and those in PASSWORD_BREACHED are refused.

    Raises:
        ServiceUnavailableError: the hashing pool is full, or PASSWORD_BREACHED away and needed.
    """
    password = normalize(password)  # as hash_password does
    min_length = current_app.config["PASSWORD_MIN_LENGTH"]
    if not min_length <= len(password) <= MAX_LENGTH:
        return [f"Must be between {min_length} and {MAX_LENGTH} characters long."]
    known = (owner.email, owner.name, *current_app.config["PASSWORD_WORDS"])
    personal = [text for text in known if text]
    with _pool_errors():
        # In the same pool, because it takes as much processor time as a hash.
        strength = password_hashing.run(estimate_strength, password, personal)
    if strength.score < current_app.config["PASSWORD_MIN_SCORE"]:
        return strength.reasons
    return [breach_service.REASON] if breach_service.is_breached(password) else []


def request_reset(email: str) -> None:
    """Enqueue an email with a reset link.

    It is the same small write for any email. The worker looks the user up later, so that the time
    of the response does not reveal who has an account (OWASP Forgot Password Cheat Sheet).
    """
    mail_queue.enqueue(RESET_PASSWORD, email, ip=g.get("client_ip", ""))
    event_service.record(Event.PASSWORD_RESET_REQUESTED, email=email)


def open_reset_link(token: str) -> tuple[User, Claims]:
    """Return the user whose password a reset token may set, and its claims; it stays valid.

    Raises:
        ExpiredTokenError, UsedTokenError, BadTokenError
    """
    return open_current_link(token, PWD_RESET)


def reset_password(user: User, password: str) -> None:
    """Set the password of a user as open_reset_link read it, and revoke every session.

    If several resets happen at once, only one succeeds. Every other link that was mailed is void.
    The link came by mail, so it verifies the email too. A second factor and passkeys stay, because
    who can read the mails need not be the user.

    Raises:
        UsedTokenError
    """
    verified = {"verified_at": user.verified_at or time.time()}
    changes = {**verified, "factors.tries": {}, **NO_KEYS}
    # No condition of its own: the password_version that user was read with is always one.
    if not _set_password(user, password, changes, only_if={}, keep_sessions={}, after="reset"):
        raise errors.UsedTokenError(LINKS[PWD_RESET].used)
    event_service.record(Event.PASSWORD_RESET, user_id=user.id, verifies=not user.is_verified)


def change_password(
    user: User, claims: Claims, current_password: str, password: str
) -> session_service.Tokens:
    """Set another password and return the next pair; every other session is revoked.

    The pair before is revoked at once: an attacker who holds it must not have the next one too.
    limit_by_user has counted the request, before the strength of the password was estimated.

    Raises:
        SchemaValidationError: the current password is wrong.
        SessionEndedError, SupersededTokenError: the session was revoked or refreshed meanwhile.
    """
    _verify_counted_password(user, current_password)
    session_id = claims["sid"]
    _, session = session_service.find(claims)
    next_session = session_grace.replace_without_grace(session)
    # Each refresh increments the generation: the session must be kept as it was read.
    unchanged = {f"sessions.{session_id}.generation": session["generation"]}
    if not _set_password(user, password, {}, unchanged, {session_id: next_session}):
        session_service.find(claims)  # raises SessionEndedError if the session was revoked
        raise errors.SupersededTokenError
    event_service.record(Event.PASSWORD_CHANGED, user_id=user.id)
    return session_service.issue_tokens(user, session_id, next_session)


def _set_password(
    user: User,
    password: str,
    changes: Stored,
    only_if: Stored,
    keep_sessions: dict[str, Stored],
    **details: str,
) -> bool:
    """Change the password and notify its owner, or do nothing; return whether it was changed."""
    changes = {**changes, "password": hash_password(password)}
    change = partial(user.change_credentials, changes, only_if, keep_sessions)
    return notice_service.notify_of(change, user, PASSWORD_CHANGED, **details)
