"""Passkeys: keys of devices that log a user in without a password (WebAuthn, discoverable).

A device signs a challenge, after it has verified its user by finger, face or PIN: that is both
factors in one. The library `webauthn` verifies what the device sends.
"""

import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import webauthn
from bson import ObjectId
from flask import current_app
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from database.models import User
from database.passkeys import Challenge, Passkey
from infra.http_host import origin_of
from infra.passkey_verification import (
    ALGORITHMS,
    Credential,
    InvalidCredential,
    read_challenge,
    verify_registration,
    verify_signature,
)
from services import errors, event_service, notice_service, session_service
from services.errors import SchemaValidationError
from services.event_service import Event
from services.mail_kinds import PASSKEY_ADDED, PASSKEY_REMOVED
from services.token_claims import Claims

RP_NAME = "Movie-bag"
CHALLENGE_SECONDS = 300
MAX_PASSKEYS = 20
DEFAULT_NAME = "Passkey"

# As JSON, for a device.
Options = dict[str, Any]


def registration_options(user: User) -> Options:
    """Return what a device needs to make a passkey of user."""
    options = webauthn.generate_registration_options(
        rp_id=_rp_id(),
        rp_name=RP_NAME,
        user_id=user.id.binary,
        user_name=user.email,
        user_display_name=user.name or user.email,
        timeout=1000 * CHALLENGE_SECONDS,
        supported_pub_key_algs=ALGORITHMS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(
                id=base64url_to_bytes(passkey.credential_id),
                transports=[AuthenticatorTransport(it) for it in passkey.transports],
            )
            for passkey in Passkey.find_all(user)
        ],
    )
    _store_challenge(options.challenge, Challenge.REGISTER, str(user.id))
    return dict(options_to_json_dict(options))


def login_options() -> Options:
    """Return what a device needs to log in; it knows the user."""
    options = webauthn.generate_authentication_options(
        rp_id=_rp_id(),
        timeout=1000 * CHALLENGE_SECONDS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _store_challenge(options.challenge, Challenge.LOGIN, None)
    return dict(options_to_json_dict(options))


def _store_challenge(challenge: bytes, purpose: str, user_id: str | None) -> None:
    expires_at = time.time() + CHALLENGE_SECONDS
    Challenge.insert(bytes_to_base64url(challenge), purpose, user_id, expires_at)


def register(user: User, claims: Claims, credential: Credential, name: str | None) -> Passkey:
    """Store the passkey that a device has made for user, and notify them.

    Raises:
        SchemaValidationError: it can't be verified.
        ConflictError: it is stored already, or the user has too many.
        SessionEndedError, SupersededTokenError: the session was revoked meanwhile.
    """
    _require_room(user, added=1)
    try:
        fields = _verify_registration(user, credential)
    except InvalidCredential:
        raise _invalid() from None
    own = {"user_id": str(user.id), "version": user.password_version}
    passkey = Passkey(name=name or DEFAULT_NAME, **own, **fields)
    notice_service.notify_of(partial(_insert, passkey, user, claims), user, PASSKEY_ADDED)
    event_service.record(Event.PASSKEY_ADDED, user_id=user.id)
    return passkey


def _require_room(user: User, added: int = 0) -> None:
    if Passkey.count_of(user) + added > MAX_PASSKEYS:
        raise errors.ConflictError(f"You have {MAX_PASSKEYS} passkeys already: remove one first")


def _insert(passkey: Passkey, user: User, claims: Claims) -> bool:
    """Store a passkey; withdraw it if its session was revoked or the password changed meanwhile.

    A reset, an undo or a deletion must leave no passkey that an intruder was adding.
    """
    if not passkey.insert():
        raise errors.ConflictError("This passkey is stored already")
    try:
        current, _ = session_service.find(claims)
        if current.password_version != user.password_version:
            raise errors.ConflictError
        _require_room(user)
    except errors.ApiError:
        passkey.remove()
        raise
    return True


def _verify_registration(user: User, credential: Credential) -> dict[str, Any]:
    challenge = _spend_challenge(credential, Challenge.REGISTER, str(user.id))
    registration = verify_registration(credential, challenge, _rp_id(), _origins())
    given = credential["response"].get("transports", [])
    known = [it.value for it in AuthenticatorTransport if it.value in given]
    return {**registration._asdict(), "transports": known}


def verify_login(credential: Credential) -> User:
    """Return the user whose passkey has signed a challenge of login_options.

    Raises:
        UnauthorizedError
    """
    try:
        return _verify_authentication(credential)
    except InvalidCredential:
        raise errors.UnauthorizedError from None


def verify_own(user: User, credential: Credential) -> None:
    """Verify that a passkey of this user has signed; raises SchemaValidationError."""
    try:
        owner = _verify_authentication(credential)
    except InvalidCredential:
        raise _invalid() from None
    if owner.id != user.id:
        raise _invalid()


def _invalid() -> SchemaValidationError:
    return SchemaValidationError({"credential": ["Can't be verified."]})


def _verify_authentication(credential: Credential) -> User:
    """Return the user whose passkey has signed, and store its use; raises InvalidCredential.

    The user is read before that: what removes a passkey meanwhile also makes the user outdated, so
    that no session can be opened.
    """
    challenge = _spend_challenge(credential, Challenge.LOGIN, None)
    passkey: Passkey | None = Passkey.objects(credential_id=credential["id"]).first()
    user = passkey and User.get_by_id(passkey.user_id)
    if not passkey or not user or credential["response"].get("userHandle") != _handle(user):
        raise InvalidCredential
    key = passkey.public_key
    sign_count, backed_up = verify_signature(credential, challenge, key, _rp_id(), _origins())
    if not passkey.use(sign_count, backed_up):
        event_service.record(Event.PASSKEY_REFUSED, user_id=user.id)
        raise InvalidCredential
    return user


def _handle(user: User) -> str:
    """Return what a device returns of a user: the id, from registration_options."""
    return bytes_to_base64url(user.id.binary)


def _spend_challenge(credential: Credential, purpose: str, user_id: str | None) -> str:
    """Return the challenge that a device has signed, which can't be used again.

    Raises:
        InvalidCredential: it is not ours, for another purpose or user, too old, or was used.
    """
    challenge = read_challenge(credential)
    if not Challenge.spend(challenge, purpose, user_id):
        raise InvalidCredential
    return challenge


def _rp_id() -> str:
    """Return the host whose pages may use the passkeys (WebAuthn §5.4.2)."""
    return urlsplit(origin_of(current_app.config["PUBLIC_URL"])).hostname or ""


def _origins() -> list[str]:
    """Return the origins whose pages may use them: ours, and those of apps."""
    return [origin_of(current_app.config["PUBLIC_URL"]), *current_app.config["PASSKEY_ORIGINS"]]


def rename(user: User, passkey_id: str, name: str) -> Passkey:
    """Store another name of a passkey of user and return it; raises PasskeyNotExistsError."""
    passkey = get(user, passkey_id)
    if not passkey.rename(name):
        raise errors.PasskeyNotExistsError
    return passkey


def remove(user: User, passkey_id: str) -> None:
    """Remove a passkey of user and notify them; raises PasskeyNotExistsError."""
    passkey = get(user, passkey_id)
    if not notice_service.notify_of(passkey.remove, user, PASSKEY_REMOVED):
        raise errors.PasskeyNotExistsError
    event_service.record(Event.PASSKEY_REMOVED, user_id=user.id)


def get(user: User, passkey_id: str) -> Passkey:
    """Return the passkey of user with this id; raises PasskeyNotExistsError."""
    passkey = Passkey.find(user, passkey_id) if ObjectId.is_valid(passkey_id) else None
    if passkey is None:
        raise errors.PasskeyNotExistsError
    return passkey
