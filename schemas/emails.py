"""Requests and responses of emails: confirmed, changed, restored."""

from schemas.auth import EmailSchema
from schemas.base import EXAMPLE_EMAIL, MailedTokenSchema, MessageSchema, Text
from schemas.fields import Password, Token


class ConfirmTokenSchema(MailedTokenSchema):
    """The token of a link that confirms an email, which may be sent as a bearer token instead."""

    mailed_field = "confirm_token"
    confirm_token = Token()


class UndoTokenSchema(MailedTokenSchema):
    """The token of a link that undoes a change, which may be sent as a bearer token instead."""

    mailed_field = "undo_token"
    undo_token = Token()


class ChangeEmailSchema(EmailSchema):
    """The new email, and the current password unless the login was just now."""

    current_password = Password()


class EmailDoneSchema(MessageSchema):
    """The email that the user has now."""

    message = Text(example="Email is confirmed")
    email = Text(example=EXAMPLE_EMAIL, about="The email of the user.")
