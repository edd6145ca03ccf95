"""Requests and responses of emails: confirmed, changed, restored."""

from typing import Any

from database.models import User
from schemas.auth import EmailSchema, missing_token
from schemas.base import EXAMPLE_EMAIL, MessageSchema, RequestSchema, Text
from schemas.fields import Password, Token
from services.errors import Errors


class ConfirmTokenSchema(RequestSchema):
    """The token of a link that confirms an email, which may be sent as a bearer token instead."""

    confirm_token = Token()

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Return whether no token named a user."""
        return missing_token("confirm_token", fields, user)


class UndoTokenSchema(RequestSchema):
    """The token of a link that undoes a change, which may be sent as a bearer token instead."""

    undo_token = Token()

    def check(self, fields: dict[str, Any], user: User | None) -> Errors:
        """Return whether no token named a user."""
        return missing_token("undo_token", fields, user)


class ChangeEmailSchema(EmailSchema):
    """The new email, and the current password unless the login was just now."""

    current_password = Password()


class EmailDoneSchema(MessageSchema):
    """The email that the user has now."""

    message = Text(example="Email is confirmed")
    email = Text(example=EXAMPLE_EMAIL, about="The email of the user.")
