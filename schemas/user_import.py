"""A line of a file of users: what the import reads and the export writes."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError

from schemas.base import RequestSchema
from schemas.fields import Email, Flag, LimitedText, Locale, Name, Role

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)


class Time(LimitedText):
    """A time in ISO 8601, which becomes seconds since the epoch; without an offset it is UTC."""

    def __init__(self) -> None:
        """Accept times from 1990 until now."""
        super().__init__(40, {"format": "date-time"})

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        try:
            time = datetime.fromisoformat(super()._deserialize(value, *args, **options))
        except ValueError:
            raise ValidationError("Not a time in ISO 8601.") from None
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        if not EARLIEST <= time <= datetime.now(UTC):
            raise ValidationError("Must be between 1990 and now.")
        return time.timestamp()


class UserLineSchema(RequestSchema):
    """A user of another system, or of an export."""

    email = Email(required=True)
    name = Name()
    hash = LimitedText(1024, {})
    salt = LimitedText(200, {})
    verified = Flag()
    created_at = Time()
    locale = Locale()
    role = Role()
    disabled = Flag()
    invited = Flag()
