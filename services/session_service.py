"""Sessions: what a login begins, a refresh carries on and a logout ends.

Access and refresh tokens name their session (`sid`) and its generation (`gen`). A refresh, a
logout or a reset is one conditional update of the user's document, and every token that names
the old state is dead (RFC 9700 §4.14).
"""

import secrets
import time
from typing import Any

from bson import ObjectId
from flask import current_app
from pymongo import ReturnDocument

from database.models import Session, User
from services import audit
from services.errors import BadTokenError, ExpiredTokenError, UnauthorizedError
from services.token_service import ACCESS, REFRESH, Claims, sign

MAX_SESSIONS = 20
# A session remembers when each of its last few generations was replaced, for the grace period.
REMEMBERED_ROTATIONS = 8
USER_AGENT_CHARACTERS = 200

# What a login or a refresh answers.
Tokens = dict[str, Any]


def begin(user: User, user_agent: str) -> Tokens:
    """Begin a session for user, as read when the password was checked; return its first tokens.

    Sessions past their time leave, and the least used beyond MAX_SESSIONS; the user's hash is
    stored with it, should it be a newer one. Raises UnauthorizedError when the password was
    changed since it was checked.
    """
    sid, session = secrets.token_hex(8), Session(user_agent=user_agent[:USER_AGENT_CHARACTERS])
    while True:
        unchanged = User.objects(id=user.id, password_version=user.password_version)
        stored = unchanged.only("sessions", "logins").as_pymongo().first()
        if stored is None:
            raise UnauthorizedError
        values = {f"sessions.{sid}": session.to_mongo(), "password": user.password}
        update: dict[str, Any] = {"$set": values, "$inc": {"logins": 1}}
        if leaving := _leaving(stored.get("sessions", {})):
            update["$unset"] = {f"sessions.{old}": 1 for old in leaving}
        # Another login since it was read may have taken the last room: look again then.
        if unchanged.filter(logins=stored.get("logins", 0)).update_one(__raw__=update):
            return _tokens(user, sid, session.generation, session.created_at)


def authenticate(claims: Claims) -> User:
    """Return the user of an access token, if the session lives and this is its generation.

    One read proves all three. Raises BadTokenError.
    """
    stored = User._get_collection().find_one({"_id": ObjectId(claims["sub"])}) or {}
    session = stored.pop("sessions", {}).get(claims["sid"], {})
    if session.get("generation") != claims["gen"]:
        raise BadTokenError
    user: User = User._from_son(stored)
    return user


def rotate(claims: Claims) -> Tokens:
    """Trade a refresh token for the session's next pair; the old pair is dead.

    One that was traded before ends the session, for one of its two holders stole it (RFC 9700
    §4.14.2); but within JWT_REFRESH_GRACE seconds it gets the current pair, for two tabs that
    refresh at once. Raises BadTokenError.
    """
    generation, now = claims["gen"], time.time()
    session = f"sessions.{claims['sid']}"
    update = {
        "$inc": {f"{session}.generation": 1},
        "$set": {f"{session}.last_used_at": now, f"{session}.rotated.g{generation}": now},
        "$unset": {f"{session}.rotated.g{generation - REMEMBERED_ROTATIONS}": 1},
    }
    users = User._get_collection()
    stored = users.find_one_and_update(
        _living(claims), update, return_document=ReturnDocument.AFTER
    )
    if stored is None:
        user, current = _in_grace(claims, now)
    else:
        del stored["sessions"]  # mongoengine would build each
        user, current = User._from_son(stored), generation + 1
    return _tokens(user, claims["sid"], current, claims["auth_time"])


def _in_grace(claims: Claims, now: float) -> tuple[User, int]:
    """Return the user and the current generation, or end the session and raise BadTokenError."""
    user = User.objects(id=claims["sub"]).first()
    session = user and user.sessions.get(claims["sid"])
    if not session:
        raise BadTokenError
    rotated_at = session.rotated.get(f"g{claims['gen']}", 0)
    if max(now - rotated_at, 0) >= current_app.config["JWT_REFRESH_GRACE"]:
        drop(user, claims["sid"])
        audit.record("refresh_replayed", user_id=user.id)
        raise BadTokenError
    return user, session.generation


def end(claims: Claims) -> None:
    """End the session that a token of its current generation names; raises BadTokenError."""
    ended = {"$unset": {f"sessions.{claims['sid']}": 1}}
    if not of_token(claims).update_one(__raw__=ended):
        raise BadTokenError
    audit.record("logout", user_id=claims["sub"])


def drop(user: User, sid: str) -> None:
    """Take a session out, whatever its generation."""
    User.objects(id=user.id).update_one(__raw__={"$unset": {f"sessions.{sid}": 1}})


def of_token(claims: Claims, **also: Any) -> Any:
    """Query the user while the session is at the token's generation."""
    return User.objects(__raw__=_living(claims) | also)


def _living(claims: Claims) -> dict[str, Any]:
    generation = f"sessions.{claims['sid']}.generation"
    return {"_id": ObjectId(claims["sub"]), generation: claims["gen"]}


def _tokens(user: User, sid: str, generation: int, auth_time: float) -> Tokens:
    """Sign the pair; neither token outlives the session, which began at auth_time."""
    config = current_app.config
    left = auth_time + config["JWT_SESSION_MAX_AGE"] - time.time()
    if left < 1:
        raise ExpiredTokenError
    access = min(config["JWT_ACCESS_TOKEN_EXPIRES"], left)
    refresh = min(config["JWT_REFRESH_TOKEN_EXPIRES"], left)
    claims = {"sid": sid, "gen": generation, "auth_time": auth_time}
    return {
        "token": sign(user, ACCESS, access, **claims),
        "refresh_token": sign(user, REFRESH, refresh, **claims),
        "token_type": "Bearer",
        "expires_in": int(access),
        "email": user.email,
    }


def _leaving(sessions: dict[str, Any]) -> list[str]:
    """Return the ids of sessions that are over, and of the least used that have no more room."""
    living = [sid for sid, session in sessions.items() if lives(session)]
    living.sort(key=lambda sid: sessions[sid]["last_used_at"], reverse=True)
    return [sid for sid in sessions if sid not in living[: MAX_SESSIONS - 1]]


def lives(session: dict[str, Any]) -> bool:
    """Say whether a session, as it is stored, is in time."""
    config, now = current_app.config, time.time()
    return bool(
        session["last_used_at"] + config["JWT_REFRESH_TOKEN_EXPIRES"] > now
        and session["created_at"] + config["JWT_SESSION_MAX_AGE"] > now
    )
