"""Passwords: how they are kept, which are strong enough, and how a forgotten one is reset."""

import base64
import hashlib
import re
import threading
import unicodedata
from typing import Any

from flask import current_app
from flask_bcrypt import Bcrypt
from zxcvbn import zxcvbn

from database.models import User
from services import audit, limits, mail_service, outbox, token_service
from services.errors import BadTokenError, ExpiredTokenError, SchemaValidationError, UsedTokenError
from services.hashing import in_line
from services.token_service import PWD_RESET

MAX_LENGTH = 128
BCRYPT_BYTES = 72
# Estimating 72 characters of the worst kind takes seconds, 24 as long as a hash; they tell enough.
ESTIMATED_CHARACTERS = 24

bcrypt = Bcrypt()
# zxcvbn keeps the personal words of the password that it works on in a global.
_estimating = threading.Lock()


def hash_password(password: str) -> str:
    """Return the bcrypt hash of password, of BCRYPT_LOG_ROUNDS rounds."""
    return str(in_line(bcrypt.generate_password_hash, _prepared(password)).decode())


def is_password_of(user: User | None, password: str) -> bool:
    """Check password, taking as long for nobody and for an older hash as for any user."""
    rounds, secret = current_app.config["BCRYPT_LOG_ROUNDS"], _prepared(password)
    stored = user.password if user else _hash_of_nobody(rounds)
    return in_line(_is_hash_of, stored, secret, rounds) and user is not None


def _is_hash_of(stored: str, secret: bytes, rounds: int) -> bool:
    for missing in range(rounds_of(stored), rounds):  # each round doubles the time
        bcrypt.check_password_hash(_hash_of_nobody(missing), secret)
    return bool(bcrypt.check_password_hash(stored, secret))


def rounds_of(hashed: str) -> int:
    """Return the cost of a bcrypt hash, a power of two."""
    return int(hashed[4:6])


def _hash_of_nobody(rounds: int) -> str:
    return f"$2b${rounds:02}${'.' * 53}"


def check_current(user: User, password: str | None) -> None:
    """Raise SchemaValidationError unless that is the password of user.

    Counted for the user, whose access token may be a thief's: raises TooManyRequestsError.
    """
    if password is None:
        raise wrong_current("Missing data for required field.")
    limits.count("PASSWORD_PER_ACCOUNT", str(user.id))
    if not is_password_of(user, password):
        audit.record("password_refused", user_id=user.id)
        raise wrong_current("Wrong password.")


def wrong_current(reason: str) -> SchemaValidationError:
    """Return the error of a current password that is missing or not the one."""
    return SchemaValidationError(errors={"current_password": [reason]})


def _normal(password: str) -> str:
    """One form for all the ways to type a character (NIST SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _prepared(password: str) -> bytes:
    """Return what is hashed: more than bcrypt can tell apart is digested first, never cut off.

    It takes 72 bytes, and repeats what is shorter with a NUL between.
    """
    secret = _normal(password).encode()
    if len(secret) > BCRYPT_BYTES or b"\0" in secret:
        return base64.b64encode(hashlib.sha256(secret).digest())
    return secret


def check_policy(password: str, *personal: str | None) -> None:
    """Raise SchemaValidationError, with the reason, for a password that is easy to guess.

    Length and strength count, no rules of composition (NIST SP 800-63B §3.1.1.2). The words of
    what is personal (address, name) are easy to guess too.
    """
    password = _normal(password)
    shortest = current_app.config["PASSWORD_MIN_LENGTH"]
    if not shortest <= len(password) <= MAX_LENGTH:
        raise _refused(f"Must be between {shortest} and {MAX_LENGTH} characters long.")
    words = [word for text in personal if text for word in (text, *re.split(r"[\s@.]+", text))]
    estimate = in_line(_estimate, password[:ESTIMATED_CHARACTERS], words)
    if estimate["score"] < current_app.config["PASSWORD_MIN_SCORE"]:
        reason = estimate["feedback"]["warning"] or "This password is too easy to guess."
        raise _refused(reason, *estimate["feedback"]["suggestions"])


def _estimate(password: str, words: list[str]) -> dict[str, Any]:
    with _estimating:
        estimate: dict[str, Any] = zxcvbn(password, words)
    return estimate


def _refused(*reasons: str) -> SchemaValidationError:
    return SchemaValidationError(errors={"password": list(reasons)})


def request_reset(email: str) -> None:
    """Wish for a mail with a reset link.

    The same small write for any address: who has an account is looked up later, in the
    background, where no answer waits for it (OWASP Forgot Password Cheat Sheet).
    """
    outbox.put(mail_service.RESET, email)
    audit.record("forgot", email=email)


def user_of(token: str) -> User:
    """Return whose password a living reset token may set; spends nothing.

    Raises ExpiredTokenError, UsedTokenError or BadTokenError.
    """
    try:
        claims = token_service.read(token, PWD_RESET)
    except ExpiredTokenError:
        message = "Reset token has expired. Please request a new one."
        raise ExpiredTokenError(message) from None
    user: User | None = User.objects(id=claims["sub"]).exclude("sessions").first()
    if user is None:
        raise BadTokenError
    if user.password_version != claims["pwv"]:
        raise UsedTokenError
    return user


def reset(token: str, password: str) -> User:
    """Set the password that a reset token is for, and end every session of its user.

    One conditional update: of any number at once one wins, and every other link that was sent
    is dead. The owner gets a mail. Raises SchemaValidationError for a weak password, which
    spends nothing, and what user_of raises.
    """
    user = user_of(token)
    check_policy(password, user.email, user.name)
    hashed = hash_password(password)
    # Before the change, so that a crash between the two can't lose it; the mail goes out later.
    notice = outbox.put(mail_service.PASSWORD_CHANGED, user.email)
    version = User.objects(id=user.id, password_version=user.password_version)
    if not version.update_one(set__password=hashed, inc__password_version=1, set__sessions={}):
        outbox.take_back(notice)
        raise UsedTokenError
    audit.record("reset", user_id=user.id)
    return user
