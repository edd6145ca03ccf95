"""Users, for themselves and for admins."""

from typing import Any

from flask_restful import Resource

from database.models import ADMIN, User
from schemas.auth import CurrentPasswordSchema
from schemas.base import MessageSchema
from schemas.user_export import UserExportSchema
from schemas.users import (
    DeleteUserSchema,
    MeUpdateSchema,
    UserCreateSchema,
    UserPageSchema,
    UserSchema,
    UserUpdateSchema,
)
from services import (
    auth_service,
    errors,
    invitation_service,
    user_export_service,
    user_service,
)
from services.token_claims import Claims
from web.cookies import remove_cookie
from web.decorators import body, no_input, query, requires_user, response
from web.operation import guard
from web.proofs import has_totp, recent_session, recent_session_if, requires_admin
from web.rate_limits import limit_by_user
from web.urls import next_page

DELETED = {"message": "User has been deleted"}


def _needs_recent_deletion(arguments: dict[str, Any]) -> bool:
    """Return whether a deletion needs a recent session: of another user, or with TOTP."""
    user: User = arguments["user"]
    return arguments["user_id"] != str(user.id) or user.has_totp


def _needs_recent_update(arguments: dict[str, Any]) -> bool:
    """Return whether a change needs a recent session: what admins alone may change."""
    user: User = arguments["user"]
    return user.is_admin and bool(arguments.keys() & {"role", "disabled"})


# Refuses users who are neither admins nor the user of the URL, before anything else.
_visible = guard(
    lambda given: user_service.require_visible(given["user"], given["user_id"]),
    errors.ForbiddenError,
)


class MeApi(Resource):
    """The user of the access token."""

    @requires_user
    @no_input
    @response(UserSchema, name="getMe")
    def get(self, user: User, claims: Claims) -> User:
        """Return the user."""
        return user

    @requires_user
    @body(MeUpdateSchema)
    @response(UserSchema, errors.UserNotExistsError, errors.TooManyRequestsError, name="updateMe")
    def patch(self, user: User, claims: Claims, **fields: str | None) -> User:
        """Change the name, which null removes, or the language of emails."""
        return user_service.update(user, user, **fields)

    @requires_user
    @recent_session_if(has_totp)
    @body(CurrentPasswordSchema)
    @response(
        MessageSchema,
        errors.LastAdminError,
        errors.UserNotExistsError,
        errors.TooManyRequestsError,
        name="deleteMe",
    )
    def delete(self, user: User, claims: Claims, current_password: str) -> dict[str, str]:
        """Delete the user and everything that belongs to them."""
        user_service.delete(user, user, current_password)
        remove_cookie()
        return DELETED


class MyExport(Resource):
    """All that is stored of a user."""

    @requires_user
    @recent_session
    @limit_by_user("WRITES")
    @no_input
    @response(UserExportSchema, name="exportMe")
    def get(self, user: User, claims: Claims) -> dict[str, Any]:
        """Return all that is stored of the user, but no hash, secret, code or key.

        Movies and events are the newest 5,000 of each.
        """
        return user_export_service.export(user, claims)


class UsersApi(Resource):
    """All users."""

    @requires_admin
    @query(UserPageSchema)
    @response(UserSchema, many=True, name="listUsers")
    def get(
        self, user: User, claims: Claims, limit: int, after: str | None = None, **filters: Any
    ) -> tuple[list[User], dict[str, str]]:
        """List users in the order of signup; the Link header leads to the next page.

        For admins only.
        """
        users, cursor = user_service.list_page(limit, after, **filters)
        return users, next_page("/api/users", limit=limit, after=cursor, **filters)

    @requires_admin
    @body(UserCreateSchema)
    @recent_session_if(lambda given: given.get("role") == ADMIN)
    @response(
        UserSchema,
        errors.EmailAlreadyExistsError,
        name="createUser",
        location="/api/users/{id}",
    )
    def post(self, user: User, claims: Claims, **fields: Any) -> User:
        """Create a user, or without a password invite one by mail.

        For admins only.
        """
        create = auth_service.sign_up if "password" in fields else invitation_service.invite
        return create(**fields)


class UserApi(Resource):
    """One user: the user of the access token, or any for an admin."""

    @requires_user
    @_visible
    @no_input
    @response(UserSchema, errors.UserNotExistsError, name="getUser")
    def get(self, user: User, claims: Claims, user_id: str) -> User:
        """Return the user.

        Users see themselves, admins everybody.
        """
        return user_service.get_visible(user, user_id)

    @requires_user
    @_visible
    @body(UserUpdateSchema)
    @recent_session_if(_needs_recent_update)
    @response(
        UserSchema,
        errors.ForbiddenError,
        errors.UserNotExistsError,
        errors.LastAdminError,
        errors.ConflictError,
        errors.TooManyRequestsError,
        name="updateUser",
    )
    def patch(self, user: User, claims: Claims, user_id: str, **fields: Any) -> User:
        """Change the name, the language of emails, or as an admin the role, or disable.

        Another role revokes the sessions; disabling voids links too. Users change themselves,
        admins everybody.
        """
        return user_service.update(user, user_service.get_visible(user, user_id), **fields)

    @requires_user
    @_visible
    @recent_session_if(_needs_recent_deletion)
    @body(DeleteUserSchema)
    @response(
        MessageSchema,
        errors.UserNotExistsError,
        errors.LastAdminError,
        errors.ConflictError,
        errors.TooManyRequestsError,
        name="deleteUser",
    )
    def delete(
        self, user: User, claims: Claims, user_id: str, current_password: str | None = None
    ) -> dict[str, str]:
        """Delete the user and everything that belongs to them.

        Users delete themselves, with their password; admins delete others without one.
        """
        user_service.delete(user_service.get_visible(user, user_id), user, current_password)
        remove_cookie(is_own=user_id == str(user.id))
        return DELETED
