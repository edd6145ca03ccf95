"""Users: what they and admins may see, change and delete."""

import time
from typing import Any

from bson import ObjectId

from database import users
from database.api_keys import NO_KEYS
from database.documents import BELONGS_TO_USER, JOBS, JOBS_BY_ID, NOTICES, SENT_MAILS
from database.models import ADMIN, USER, Job, Stored, User
from jobs import queue
from services import errors, event_service, mail_queue, password_service, rate_limit_service
from services.event_service import Event
from services.link_service import is_invited
from services.mail_kinds import (
    ACCOUNT_DELETED,
    RESET_PASSWORD,
    ROLE_CHANGED_TO_ADMIN,
    ROLE_CHANGED_TO_USER,
)
from services.movie_service import DELETE_MOVIES
from services.notice_service import notice_of_change

ROLE_EVENTS = {ADMIN: Event.ROLE_CHANGED_TO_ADMIN, USER: Event.ROLE_CHANGED_TO_USER}
# How often a request reads a user again whom other requests have changed since.
ATTEMPTS = 20
ROLE_NOTICES = {ADMIN: ROLE_CHANGED_TO_ADMIN, USER: ROLE_CHANGED_TO_USER}


def require_visible(actor: User, user_id: str) -> None:
    """Raise ForbiddenError unless actor is an admin or the user with this id."""
    if not actor.is_admin and user_id != str(actor.id):
        raise errors.ForbiddenError


def get_visible(actor: User, user_id: str) -> User:
    """Return the user with this id, if actor is an admin or that user.

    Raises:
        ForbiddenError, UserNotExistsError
    """
    require_visible(actor, user_id)
    return get(user_id)


def _get(user_id: object) -> User:
    user = User.get_by_id(user_id)
    if user is None:
        raise errors.UserNotExistsError
    return user


def get(user_id: str) -> User:
    """Return the user with this id; raises UserNotExistsError."""
    return _get(user_id if ObjectId.is_valid(user_id) else ObjectId())


def get_by_email(email: str) -> User:
    """Return the user with this email; raises UserNotExistsError."""
    user = User.get_by_email(email)
    if user is None:
        raise errors.UserNotExistsError("User with given email address doesn't exist")
    return user


def list_page(
    limit: int, after: str | None = None, **filters: Any
) -> tuple[list[User], str | None]:
    """Return users in the order of signup, and the cursor of the next page if more follow.

    Filters are the `email`, the `role`, whether they are `disabled`, and `q`, how their email or a
    word of their name begins.
    """
    page = users.find_page(filters, limit + 1, after)
    return page[:limit], str(page[limit - 1].id) if len(page) > limit else None


def update(actor: User, user: User, **changes: Any) -> User:
    """Change `name`, `locale`, `role` or `disabled` and return the user.

    Another role revokes the sessions.

    Raises:
        ForbiddenError: only an admin may change a role, or disable.
        LastAdminError
        ConflictError: the user is changed again and again.
        TooManyRequestsError: users change themselves too often.
    """
    if actor.id == user.id:
        rate_limit_service.hit("WRITES_PER_USER", str(user.id))
    if changes.keys() & {"role", "disabled"} and not actor.is_admin:
        raise errors.ForbiddenError
    if role := changes.get("role"):
        set_role(user, role)
    if "disabled" in changes:
        set_disabled(_get(user.id), changes["disabled"])
    if "name" in changes:
        users.set_name(user, changes["name"])
    if "locale" in changes:
        users.set_locale(user, changes["locale"])
    return _get(user.id)


def set_role(user: User, role: str) -> None:
    """Change the role of user, notify them and revoke the sessions; raises LastAdminError."""
    if role != user.role:
        with notice_of_change(ROLE_NOTICES[role], user):
            _change_role(user, role)


def _change_role(user: User, role: str) -> None:
    _require_another_admin(user)
    if not users.set_role(user, role):
        raise errors.UserNotExistsError
    if users.is_active_admin(user) and not users.find_active_admins().first():
        # Two admins demoted each other at once: neither change stays.
        users.set_role(user, ADMIN)
        raise errors.LastAdminError
    User.revoke_all_sessions(user.id)
    event_service.record(ROLE_EVENTS[role], user_id=user.id)


def _require_another_admin(user: User) -> None:
    """Check before anything is written, so that no other request sees a half-done change."""
    admins = [admin.id for admin in users.find_active_admins().only("id").limit(2)]
    if admins == [user.id]:
        raise errors.LastAdminError


def set_disabled(user: User, is_disabled: bool) -> None:
    """Disable the account of a user, or enable it again.

    Disabling revokes every session and voids every link, but for one that undoes a change of the
    email. What was void stays void.

    Raises:
        LastAdminError, UserNotExistsError
        ConflictError: the user is changed again and again.
    """
    if is_disabled:
        _disable(user)
    elif users.enable(user):
        event_service.record(Event.USER_ENABLED, user_id=user.id)


def _disable(user: User) -> None:
    for _ in range(ATTEMPTS):
        if user.is_disabled:
            return
        _require_another_admin(user)
        now = {"disabled_at": time.time(), **NO_KEYS}
        if user.change_credentials(now, {"disabled_at": None, "role": user.role}, {}):
            break
        user = _get(user.id)  # it was changed since it was read
    else:
        raise errors.ConflictError
    if users.is_active_admin(user) and not users.find_active_admins().first():
        # Two admins disabled each other at once: neither stays disabled, but both are logged out.
        users.enable(user)
        raise errors.LastAdminError
    event_service.record(Event.USER_DISABLED, user_id=user.id)


def mail_reset_link(user: User) -> None:
    """Mail a user a link that sets a new password, or a pending invitation once more.

    Raises:
        ConflictError: the account is disabled, or the invitation is over.
    """
    if user.is_disabled:
        raise errors.ConflictError("This account is disabled")
    if user.invited_at and not is_invited(user):
        raise errors.ConflictError("The invitation is over: delete the user, and invite them again")
    mail_queue.enqueue_to(user, RESET_PASSWORD)
    event_service.record(Event.RESET_LINK_MAILED, user_id=user.id)


def delete(user: User, actor: User | None = None, current_password: str | None = None) -> None:
    """Delete user and everything that belongs to them, and notify them.

    Users who delete themselves confirm it with their password.

    Raises:
        SchemaValidationError: the password is missing or wrong.
        LastAdminError
        UserNotExistsError: another request was faster.
        SessionEndedError: users who delete themselves changed the password meanwhile.
        ConflictError: the role was changed meanwhile.
    """
    only_if: Stored = {}
    refusal: type[errors.ApiError] = errors.ConflictError
    if actor is not None and actor.id == user.id:
        password_service.verify_current_password(user, current_password)
        only_if, refusal = {"password_version": user.password_version}, errors.SessionEndedError
    with notice_of_change(ACCOUNT_DELETED, user):
        _delete(user, only_if, refusal)


def delete_unverified(user: User) -> None:
    """Delete a user who never verified the email, which is not theirs; nobody is notified.

    Raises:
        LastAdminError
        UsedTokenError, BadTokenError: the email was verified, or the user deleted, meanwhile.
    """
    try:
        _delete(user, {"email": user.email, "verified_at": None}, errors.UsedTokenError)
    except errors.UserNotExistsError:
        raise errors.BadTokenError from None


def _delete(user: User, only_if: Stored, refusal: type[errors.ApiError]) -> None:
    if user.is_admin:  # demoted first, so that two admins can't delete each other
        _change_role(user, USER)
    _delete_mails(user)
    _delete_account(user, only_if, refusal)
    # Before the rest, which a job deletes if the database fails here.
    event_service.record(Event.USER_DELETED, user_id=user.id)
    for documents in BELONGS_TO_USER:
        documents.delete_all(user)


def _delete_mails(user: User) -> None:
    """Delete emails that nothing would look at again if the process crashed after the deletion."""
    for jobs in (JOBS, JOBS_BY_ID, NOTICES):
        jobs.delete_all(user, state=Job.FAILED)
    SENT_MAILS.delete_all(user)


def _delete_account(user: User, only_if: Stored, refusal: type[errors.ApiError]) -> None:
    """Delete the document of user; the job also deletes a movie that is being added meanwhile."""
    job_id = queue.enqueue(DELETE_MOVIES, user_id=str(user.id))
    if not User.objects(id=user.id, role=USER, **only_if).delete():
        queue.cancel(job_id)
        if user.is_admin:
            users.set_role(user, ADMIN)
        _get(user.id)
        raise refusal
