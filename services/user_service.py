"""Accounts as their owners and admins see, change and delete them."""

from bson import ObjectId

from database.models import ADMIN, USER, Mail, Movie, User, exactly
from services import audit, outbox, password_service
from services.errors import BadTokenError, ForbiddenError, LastAdminError, UserNotExistsError


def find(actor: User, user_id: str) -> User:
    """Return the user with that id, whom actor may see: themself, or anyone for an admin.

    Raises ForbiddenError, UserNotExistsError.
    """
    if not actor.is_admin and user_id != str(actor.id):
        raise ForbiddenError
    return _existing(user_id if ObjectId.is_valid(user_id) else ObjectId())


def of(email: str) -> User:
    """Return the user with that address; raises UserNotExistsError."""
    user = User.with_email(email)
    if user is None:
        raise UserNotExistsError("User with given email address doesn't exist")
    return user


def page(limit: int, after: str | None = None) -> tuple[list[User], str | None]:
    """Return limit users in the order of their signup, and the cursor of the next page, if any."""
    users = User.objects(**{"id__gt": ObjectId(after)} if after else {})
    some = list(users.exclude("sessions").order_by("id").limit(limit + 1))
    return some[:limit], str(some[limit - 1].id) if len(some) > limit else None


def change(actor: User, user: User, name: str | None = None, role: str | None = None) -> User:
    """Change name or role and return the user; another role ends the sessions.

    Raises ForbiddenError when actor is no admin and asks for a role, LastAdminError.
    """
    if role:
        if not actor.is_admin:
            raise ForbiddenError
        set_role(user, role)
    if name:
        User.objects(id=user.id).update_one(set__name=name)
    return _existing(user.id)


def _existing(user_id: object) -> User:
    user: User | None = User.objects(id=user_id).exclude("sessions").first()
    if user is None:
        raise UserNotExistsError
    return user


def set_role(user: User, role: str) -> None:
    """Give user another role, and end the sessions; raises LastAdminError."""
    if role == user.role:
        return
    if user.is_admin:
        _leave_an_admin(besides=user)
    if not User.objects(id=user.id).update_one(set__role=role):
        raise UserNotExistsError
    if user.is_admin and not User.objects(role=ADMIN).first():
        # Two admins at once, each counting on the other: neither goes.
        User.objects(id=user.id).update_one(set__role=ADMIN)
        raise LastAdminError
    User.objects(id=user.id).update_one(set__sessions={})
    audit.record(f"role_changed_to_{role}", user_id=user.id)


def _leave_an_admin(besides: User) -> None:
    """Refuse before anything is written, so that no crash and no request finds it half done."""
    admins = User.objects(role=ADMIN).only("id").limit(2)
    if all(admin.id == besides.id for admin in admins):
        raise LastAdminError


def delete(user: User, actor: User | None = None, current_password: str | None = None) -> None:
    """Delete user with all sessions and wishes; users who delete themselves give the password.

    The account goes whole. Should the process die then, the outbox finds nobody for the wishes
    that are left, and forgets them; those it is done with it would not look at again: they go
    before.
    The movies it takes out by a wish of its own, together with one that was just being added.
    Raises SchemaValidationError, LastAdminError, UserNotExistsError when another was faster, or
    BadTokenError when password or role was changed meanwhile.
    """
    checked = {}
    if actor is not None and actor.id == user.id:
        password_service.check_current(user, current_password)
        checked = {"password_version": user.password_version}
    set_role(user, USER)
    wishes = {"email": exactly(user.email)}
    for state in (Mail.GIVEN_UP, Mail.SENT):
        Mail.objects(__raw__={**wishes, "state": state}).delete()
    rest = outbox.put(outbox.FORGET, str(user.id))
    if not User.objects(id=user.id, role=USER, **checked).delete():
        outbox.take_back(rest)
        if user.is_admin:
            User.objects(id=user.id).update_one(set__role=ADMIN)
        _existing(user.id)
        raise BadTokenError
    Movie.objects(added_by=str(user.id)).delete()
    Mail.objects(__raw__=wishes).delete()
    audit.record("deleted", user_id=user.id)
