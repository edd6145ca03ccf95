"""What the claims of each kind of token must be (services/token_service.py has the kinds)."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields
from marshmallow.validate import Length, Range, Regexp

Claims = dict[str, Any]

# Seconds since the epoch, until the year 5138: calculations with other numbers may overflow.
TIME = Range(0, 10**11)


class Counter(fields.Integer):
    """A count from 0 to 2**31 - 1, a 32-bit integer."""

    def __init__(self) -> None:
        """Accept a whole number; the claim is required."""
        super().__init__(required=True, strict=True, validate=Range(0, 2**31 - 1))


class HexId(fields.String):
    """An id as hex digits."""

    def __init__(self, digits: int) -> None:
        """Accept so many digits; the claim is required."""
        super().__init__(required=True, validate=Regexp(rf"[0-9a-f]{{{digits}}}\Z"))


class TokenSchema(Schema):
    """The claims of a token.

    Types are checked because claims become parts of queries: `{"$gt": 0}` is no generation (NoSQL
    injection), and another program that has the key may sign anything.
    """

    class Meta:
        """Ignore other claims."""

        unknown = EXCLUDE

    scope = fields.String(required=True)
    sub = HexId(24)
    exp = fields.Integer(required=True, strict=True, validate=TIME)
    iat = fields.Integer(strict=True, validate=TIME)
    nbf = fields.Integer(strict=True, validate=TIME)


class SessionTokenSchema(TokenSchema):
    """The claims of access and refresh tokens."""

    sid = HexId(16)
    gen = Counter()


class AccessTokenSchema(SessionTokenSchema):
    """The claims of an access token, besides those that only other services read."""

    iat = fields.Integer(required=True, strict=True, validate=TIME)
    iss = fields.String()
    aud = fields.String()


class LoginTokenSchema(TokenSchema):
    """The claims of a login that waits for a second factor: versions that its success changes."""

    pwv = Counter()
    logins = Counter()


class LinkTokenSchema(TokenSchema):
    """The claims of a mailed link, besides its version."""

    jti = fields.String(required=True, validate=Length(max=64))


def link_schema(**version: fields.Field[Any]) -> Schema:
    """Return the schema of a mailed link that carries this version."""
    return LinkTokenSchema.from_dict(version)()
