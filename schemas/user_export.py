"""All that is stored of a user."""

from typing import Any

from marshmallow import fields, pre_dump

from schemas.api_keys import KeySchema
from schemas.auth import SessionSchema
from schemas.base import EXAMPLE_EMAIL, IdSchema, ResponseSchema, Text, Timestamp
from schemas.events import OwnEventSchema
from schemas.factors import FactorsSchema
from schemas.passkeys import PasskeySchema
from schemas.users import UserSchema


class FormerEmailSchema(ResponseSchema):
    """An email from before a change, to which the user may return for some days."""

    email = Text(example=EXAMPLE_EMAIL)
    at = Timestamp(about="The time of the change.")


class DeviceSchema(ResponseSchema):
    """A browser and a network from which the user has logged in."""

    browser = Text(example="Firefox")
    system = Text(example="Linux")
    ip = Text(example="203.0.113.7")
    network = Text(example="203.0.113.0/24")
    first_at = Timestamp()
    last_at = Timestamp()


class ExportedMovieSchema(IdSchema):
    """A movie that the user added."""

    name = Text(example="Heat")
    casts = fields.List(Text(example="Al Pacino"), required=True)
    genres = fields.List(Text(example="Crime"), required=True)


class ExportedEmailSchema(IdSchema):
    """An email to the user that is queued, or failed."""

    mail = Text(example="reset_password")
    created_at = Timestamp()

    @pre_dump
    def _flatten(self, mail: Any, **_: Any) -> dict[str, Any]:
        return {"id": mail.id, "mail": mail.arguments["mail"], "created_at": mail.created_at}


class UserExportSchema(ResponseSchema):
    """All that is stored of a user, but no hash, secret, code or key."""

    user = fields.Nested(UserSchema, required=True)
    pending_email = Text(example=EXAMPLE_EMAIL, allow_none=True)
    former_emails = fields.List(fields.Nested(FormerEmailSchema), required=True)
    factors = fields.Nested(FactorsSchema, required=True)
    passkeys = fields.List(fields.Nested(PasskeySchema), required=True)
    api_keys = fields.List(fields.Nested(KeySchema), required=True)
    devices = fields.List(fields.Nested(DeviceSchema), required=True)
    sessions = fields.List(fields.Nested(SessionSchema), required=True)
    movies = fields.List(fields.Nested(ExportedMovieSchema), required=True)
    emails = fields.List(fields.Nested(ExportedEmailSchema), required=True)
    events = fields.List(fields.Nested(OwnEventSchema), required=True)
