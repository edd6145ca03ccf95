"""Accounts, for their owners and for admins."""

from typing import Any

from flask_restful import Resource

from database.models import User
from resources.answers import AccountSchema, MessageSchema
from resources.request import accepts, admins_only, answers, protected
from resources.schemas import (
    CurrentPasswordSchema,
    DeleteUserSchema,
    NameSchema,
    NewUserSchema,
    PageSchema,
    UserSchema,
)
from services import auth_service, user_service
from services.errors import (
    EmailAlreadyExistsError,
    ForbiddenError,
    LastAdminError,
    TooManyRequestsError,
    UserNotExistsError,
)
from services.times import iso
from services.token_service import Claims

DELETED = {"message": "User has been deleted"}


def shown(user: User) -> dict[str, Any]:
    """Return what an answer shows of a user."""
    facts = {"id": str(user.id), "email": user.email, "name": user.name, "role": user.role}
    return {**facts, "created_at": iso(user.created_at)}


class Me(Resource):
    """The account of the user who asks."""

    @protected
    @accepts()
    @answers(AccountSchema)
    def get(self, user: User, claims: Claims) -> dict[str, Any]:
        """Show the account."""
        return shown(user)

    @protected
    @accepts(NameSchema)
    @answers(AccountSchema, UserNotExistsError)
    def patch(self, user: User, claims: Claims, name: str) -> dict[str, Any]:
        """Change the name."""
        return shown(user_service.change(user, user, name=name))

    @protected
    @accepts(CurrentPasswordSchema)
    @answers(MessageSchema, LastAdminError, UserNotExistsError, TooManyRequestsError)
    def delete(self, user: User, claims: Claims, current_password: str) -> dict[str, str]:
        """Delete the account and all that belongs to it."""
        user_service.delete(user, user, current_password)
        return DELETED


class Users(Resource):
    """Every account."""

    @admins_only
    @accepts(query=PageSchema)
    @answers(AccountSchema, many=True)
    def get(self, user: User, claims: Claims, **page: Any) -> tuple[Any, int, dict[str, str]]:
        """List accounts in the order of their signup; the Link header leads on."""
        users, cursor = user_service.page(**page)
        link = f'</api/users?limit={page["limit"]}&after={cursor}>; rel="next"'
        return [shown(each) for each in users], 200, {"Link": link} if cursor else {}

    @admins_only
    @accepts(NewUserSchema)
    @answers(AccountSchema, EmailAlreadyExistsError)
    def post(self, user: User, claims: Claims, **fields: str) -> dict[str, Any]:
        """Create an account."""
        return shown(auth_service.sign_up(**fields))


class OneUser(Resource):
    """An account: the user's own, or any one for an admin."""

    @protected
    @accepts()
    @answers(AccountSchema, ForbiddenError, UserNotExistsError)
    def get(self, user: User, claims: Claims, user_id: str) -> dict[str, Any]:
        """Show the account."""
        return shown(user_service.find(user, user_id))

    @protected
    @accepts(UserSchema)
    @answers(AccountSchema, ForbiddenError, UserNotExistsError, LastAdminError)
    def patch(self, user: User, claims: Claims, user_id: str, **fields: str) -> dict[str, Any]:
        """Change the name, or as an admin the role, which ends the sessions."""
        return shown(user_service.change(user, user_service.find(user, user_id), **fields))

    @protected
    @accepts(DeleteUserSchema)
    @answers(
        *(MessageSchema, ForbiddenError, UserNotExistsError, LastAdminError),
        TooManyRequestsError,
    )
    def delete(
        self, user: User, claims: Claims, user_id: str, current_password: str | None = None
    ) -> dict[str, str]:
        """Delete the account and all that belongs to it."""
        user_service.delete(user_service.find(user, user_id), user, current_password)
        return DELETED
