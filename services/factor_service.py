"""The second factor: codes of an authenticator app (TOTP), and recovery codes if that is lost.

A user who has one logs in with a password and a code, and proves with a code that a request is
theirs.
"""

import logging
import time
from functools import partial
from typing import Any

from flask import current_app

from database import factors
from database.factors import NO_FACTOR
from database.models import Stored, User
from database.passkeys import Passkey
from infra import one_time_codes, secret_box
from infra.secret_box import NoKeyOpens
from services import code_tries, errors, event_service, notice_service, session_service
from services.code_tries import Use
from services.errors import MISSING_FIELD, SchemaValidationError
from services.event_service import Event
from services.mail_kinds import (
    RECOVERY_CODE_USED,
    RECOVERY_CODES_CREATED,
    TOTP_ADDED,
    TOTP_REMOVED,
)
from services.token_claims import Claims
from services.token_service import MFA, encode

logger = logging.getLogger(__name__)

ISSUER = "Movie-bag"
PENDING_SECONDS = 600
MFA_TOKEN_SECONDS = 300
# The values of `methods` in SecondFactorRequiredError.
TOTP = "totp"
RECOVERY_CODE = "recovery_code"


def start_totp(user: User, claims: Claims) -> dict[str, str]:
    """Return a secret for an authenticator app, also as URI and as QR code.

    It is in force once confirm_totp gets a code of it, from the same session, within 10 minutes.

    Raises:
        ServiceUnavailableError: SECRETS_KEY is not set.
        ConflictError: the user has a second factor, or was changed meanwhile.
        SessionEndedError: the session was revoked meanwhile.
    """
    keys = current_app.config["SECRETS_KEYS"]
    if not keys:
        raise errors.ServiceUnavailableError("This server has no SECRETS_KEY for second factors")
    _require_no_totp(user)
    secret = one_time_codes.new_secret()
    pending = {"secret": secret_box.encrypt(secret, keys), "created_at": time.time()}
    if not factors.store_pending_totp(user, claims["sid"], pending):
        session_service.find(claims)  # raises SessionEndedError if the session was revoked
        raise errors.ConflictError
    uri = one_time_codes.totp_uri(secret, user.email, ISSUER)
    return {"secret": secret, "uri": uri, "qr": one_time_codes.qr_image(uri)}


def _require_no_totp(user: User) -> None:
    if user.has_totp:
        raise errors.ConflictError("A second factor is on already: remove it first")


def _require_totp(user: User) -> None:
    if not user.has_totp:
        raise errors.ConflictError("No second factor is on")


def confirm_totp(user: User, claims: Claims, code: str) -> list[str]:
    """Put the second factor in force that start_totp has begun; return its recovery codes.

    Every other session is revoked.

    Raises:
        SchemaValidationError: the code is wrong.
        ConflictError: none is being added by this session, or one is in force.
        SupersededTokenError, SessionEndedError, TooManyRequestsError
    """
    codes = one_time_codes.new_recovery_codes()

    def find_use(current: User) -> Use | None:
        _, session = session_service.find(claims)
        secret = _pending_secret(current, claims)
        step = one_time_codes.find_step(secret, code, time.time())
        if step is None:
            return None
        return partial(_add_totp, current, claims["sid"], session, step, codes)

    _require_right(code_tries.try_code(user, find_use), user)
    event_service.record(Event.TOTP_ADDED, user_id=user.id)
    return codes


def _pending_secret(user: User, claims: Claims) -> str:
    _require_no_totp(user)
    pending = user.factors.get("pending_totp", {})
    is_own = pending.get("session_id") == claims["sid"]
    if not is_own or pending["created_at"] + PENDING_SECONDS <= time.time():
        raise errors.ConflictError("Begin to add the second factor again")
    return _decrypt(pending["secret"])


def _add_totp(
    user: User, session_id: str, session: Stored, step: int, codes: list[str], only_if: Stored
) -> bool:
    pending = user.factors["pending_totp"]
    unchanged = {
        "factors.pending_totp.secret.text": pending["secret"]["text"],
        f"sessions.{session_id}.generation": session["generation"],
    }
    totp = {"secret": pending["secret"], "step": step, "version": user.password_version}
    changes = {"factors.totp": totp, "factors.recovery_codes": _digests(codes, user)}
    change = partial(
        user.change_credentials, changes, {**unchanged, **only_if}, {session_id: session}
    )
    return notice_service.notify_of(change, user, TOTP_ADDED)


def _digests(codes: list[str], user: User) -> dict[str, int]:
    return {one_time_codes.digest(code): user.password_version for code in codes}


def remove_totp(user: User) -> None:
    """Remove the second factor and its recovery codes; raises ConflictError if there is none."""
    _require_totp(user)
    _change(user, NO_FACTOR, TOTP_REMOVED)
    event_service.record(Event.TOTP_REMOVED, user_id=user.id)


def renew_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes and return them; raises ConflictError without a second factor."""
    _require_totp(user)
    codes = one_time_codes.new_recovery_codes()
    _change(user, {"factors.recovery_codes": _digests(codes, user)}, RECOVERY_CODES_CREATED)
    event_service.record(Event.RECOVERY_CODES_CREATED, user_id=user.id)
    return codes


def _change(
    user: User, changes: Stored, mail: str, keep_sessions: dict[str, Stored] | None = None
) -> None:
    """Change factors and notify their user; raises ConflictError if the user was changed."""
    change = partial(user.change_credentials, changes, {}, keep_sessions)
    if not notice_service.notify_of(change, user, mail):
        raise errors.ConflictError


def verify_code(user: User, code: str | None) -> None:
    """Verify and use up a code of a user who is logged in.

    Raises:
        SchemaValidationError: it is missing, wrong, or was used.
        TooManyRequestsError, ConflictError
    """
    if code is None:
        raise SchemaValidationError({"code": [MISSING_FIELD]})

    def find_use(current: User) -> Use | None:
        if not current.has_totp:  # maybe since the user was read
            raise SchemaValidationError({"code": ["No second factor is on."]})
        return _find_code(current, code)

    _require_right(code_tries.try_code(user, find_use), user)


def _require_right(is_right: bool, user: User) -> None:
    if not is_right:
        event_service.record(Event.CODE_REFUSED, user_id=user.id)
        raise SchemaValidationError({"code": ["Wrong code, or one that was used."]})


def code_required(user: User) -> errors.SecondFactorRequiredError:
    """Return the error that a login by password gets, with the token to go on with.

    The token holds versions that a login, a reset and a change of the factor increment.
    """
    versions = {"pwv": user.password_version, "logins": user.logins}
    methods = [TOTP, RECOVERY_CODE] if user.factors.get("recovery_codes") else [TOTP]
    return errors.SecondFactorRequiredError(encode(MFA, user, MFA_TOKEN_SECONDS, versions), methods)


def use_code_of_login(
    user: User, claims: Claims, code: str | None = None, recovery_code: str | None = None
) -> bool:
    """Use up a code, or a recovery code, and the token of a login; return whether it was right.

    Raises:
        UsedTokenError: the token was used, or the password or the factor changed.
        TooManyRequestsError, BadTokenError, ConflictError
    """
    versions = {"password_version": claims["pwv"], "logins": claims["logins"]}

    def find_use(current: User) -> Use | None:
        is_outdated = any(current[name] != version for name, version in versions.items())
        if is_outdated or not current.has_totp:
            raise errors.UsedTokenError
        # `logins` counts as at a login, which uses up this token and every other of the user.
        if code is not None:
            return _find_code(current, code, logins=1)
        return _find_recovery_code(current, recovery_code or "", logins=1)

    return code_tries.try_code(user, find_use, versions)


def _find_code(user: User, code: str, **counters: Any) -> Use | None:
    totp = user.factors["totp"]
    step = one_time_codes.find_step(_decrypt(totp["secret"]), code, time.time())
    if step is None or step <= totp["step"]:
        return None
    return partial(factors.use_code, user, step, **counters)


def _find_recovery_code(user: User, code: str, **counters: Any) -> Use | None:
    digest = one_time_codes.digest(code)
    if digest not in user.factors["recovery_codes"]:
        return None
    return partial(_use_recovery_code, user, digest, **counters)


def _use_recovery_code(user: User, digest: str, only_if: Stored, **counters: Any) -> bool:
    left = len(user.factors["recovery_codes"]) - 1
    use = partial(factors.use_recovery_code, user, digest, only_if, **counters)
    is_used = notice_service.notify_of(use, user, RECOVERY_CODE_USED, codes_left=str(left))
    if is_used:
        event_service.record(Event.RECOVERY_CODE_USED, user_id=user.id)
    return is_used


def reset(user: User) -> None:
    """Remove every factor of a user who has lost them, for an operator, and revoke the sessions.

    Raises:
        ConflictError: the user was changed meanwhile.
    """
    Passkey.delete_added_after(user, version=-1)  # before, so that none opens a session that stays
    _change(user, NO_FACTOR, TOTP_REMOVED, keep_sessions={})
    if Passkey.delete_added_after(user, version=-1):  # added until then, and perhaps used
        User.revoke_all_sessions(user.id)
    event_service.record(Event.FACTORS_RESET, user_id=user.id)


def _decrypt(secret: Stored) -> str:
    """Return a stored secret; its key was there when the process started."""
    try:
        return secret_box.decrypt(secret, current_app.config["SECRETS_KEYS"])
    except NoKeyOpens:
        logger.error("No key of SECRETS_KEY decrypts a second factor: the login gets a 503")
        raise errors.ServiceUnavailableError from None
