"""Users: what they and admins may see, change and delete."""

from bson import ObjectId

from database.documents import BELONGS_TO_USER, JOBS, JOBS_BY_ID, NOTICES, SENT_MAILS
from database.models import ADMIN, USER, Job, Stored, User
from jobs import queue
from services import errors, event_service, password_service, rate_limit_service
from services.event_service import Event
from services.mail_kinds import ACCOUNT_DELETED, ROLE_CHANGED_TO_ADMIN, ROLE_CHANGED_TO_USER
from services.movie_service import DELETE_MOVIES
from services.notice_service import notice_of_change

ROLE_EVENTS = {ADMIN: Event.ROLE_CHANGED_TO_ADMIN, USER: Event.ROLE_CHANGED_TO_USER}
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
    return _get(user_id if ObjectId.is_valid(user_id) else ObjectId())


def _get(user_id: object) -> User:
    user = User.get_by_id(user_id)
    if user is None:
        raise errors.UserNotExistsError
    return user


def get_by_email(email: str) -> User:
    """Return the user with this email; raises UserNotExistsError."""
    user = User.get_by_email(email)
    if user is None:
        raise errors.UserNotExistsError("User with given email address doesn't exist")
    return user


def list_page(limit: int, after: str | None = None) -> tuple[list[User], str | None]:
    """Return users in the order of signup, and the cursor of the next page if more follow."""
    users = User.objects(**{"id__gt": ObjectId(after)} if after else {})
    page = list(users.exclude("sessions").order_by("id").limit(limit + 1))
    return page[:limit], str(page[limit - 1].id) if len(page) > limit else None


def update(actor: User, user: User, **changes: str | None) -> User:
    """Change `name`, `locale` or `role` and return the user; another role revokes the sessions.

    Raises:
        ForbiddenError: only an admin may change a role.
        LastAdminError
        TooManyRequestsError: users change themselves too often.
    """
    if actor.id == user.id:
        rate_limit_service.hit("WRITES_PER_USER", str(user.id))
    if role := changes.get("role"):
        if not actor.is_admin:
            raise errors.ForbiddenError
        set_role(user, role)
    if "name" in changes:
        user.set_name(changes["name"])
    if "locale" in changes:
        user.set_locale(changes["locale"])
    return _get(user.id)


def set_role(user: User, role: str) -> None:
    """Change the role of user, notify them and revoke the sessions; raises LastAdminError."""
    if role != user.role:
        with notice_of_change(ROLE_NOTICES[role], user):
            _change_role(user, role)


def _change_role(user: User, role: str) -> None:
    if user.is_admin:
        _require_another_admin(user)
    if not user.set_role(role):
        raise errors.UserNotExistsError
    if user.is_admin and not User.objects(role=ADMIN).first():
        # Two admins demoted each other at once: neither change stays.
        user.set_role(ADMIN)
        raise errors.LastAdminError
    User.revoke_all_sessions(user.id)
    event_service.record(ROLE_EVENTS[role], user_id=user.id)


def _require_another_admin(user: User) -> None:
    """Check before anything is written, so that no other request sees a half-done change."""
    admins = User.objects(role=ADMIN).only("id").limit(2)
    if all(admin.id == user.id for admin in admins):
        raise errors.LastAdminError


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
    for documents in BELONGS_TO_USER:
        documents.delete_all(user)
    event_service.record(Event.USER_DELETED, user_id=user.id)


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
            user.set_role(ADMIN)
        _get(user.id)
        raise refusal
