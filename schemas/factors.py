"""Requests and responses of the second factor and of reauthentication."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Regexp

from schemas.base import RequestSchema, ResponseSchema, Text
from schemas.fields import CookieFlag, LimitedText, Password, Token
from schemas.passkeys import CredentialField
from services.errors import MISSING_FIELD

EXAMPLE_BASE32 = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
EXAMPLE_RECOVERY_CODE = "mzxw-6ytb-ojqx-ezlt-onqw-4ylo"
ONLY_ONE = "Send only one of these."


class Code(LimitedText):
    """A code of an authenticator app: six digits, perhaps with a blank between them."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        about = {"examples": ["492039"], "pattern": "^[0-9]{3} ?[0-9]{3}$"}
        validator = Regexp(r"[0-9]{6}\Z", error="Must be six digits.")
        super().__init__(20, about, validate=validator, **options)

    def parse(self, text: str) -> str:
        """Return the digits."""
        return text.strip().replace(" ", "")


class RecoveryCode(LimitedText):
    """A recovery code, with or without its dashes, in any case."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        super().__init__(100, {"examples": [EXAMPLE_RECOVERY_CODE]}, **options)


def _refuse_several(given: dict[str, Any], *alternatives: str) -> None:
    """Raise ValidationError if more than one of these fields is given."""
    if len(sent := [name for name in alternatives if name in given]) > 1:
        raise ValidationError({name: [ONLY_ONE] for name in sent})


class CodeSchema(RequestSchema):
    """A code of an authenticator app."""

    code = Code(required=True)


class LoginCodeSchema(RequestSchema):
    """The token of a login that waits, and a code or a recovery code."""

    one_of = ("code", "recovery_code")

    mfa_token = Token(required=True)
    code = Code()
    recovery_code = RecoveryCode()
    cookie = CookieFlag()

    @validates_schema
    def _check_one(self, data: dict[str, Any], **_: Any) -> None:
        _refuse_several(data, *self.one_of)
        if "code" not in data and "recovery_code" not in data:
            raise ValidationError(MISSING_FIELD, "code")


class ReauthenticateSchema(RequestSchema):
    """One of these: the current password, or of a user with a second factor a code or a passkey."""

    one_of = ("current_password", "code", "credential")

    current_password = Password()
    code = Code()
    credential = CredentialField("What `navigator.credentials.get()` returned, as JSON.")

    @validates_schema
    def _check_one(self, data: dict[str, Any], **_: Any) -> None:
        _refuse_several(data, *self.one_of)


class FactorsSchema(ResponseSchema):
    """Which ways to log in a user has besides the password."""

    totp = fields.Boolean(required=True, metadata={"examples": [True]})
    passkeys = fields.Integer(required=True, metadata={"examples": [2]})
    recovery_codes_left = fields.Integer(required=True, metadata={"examples": [10]})


class TotpSchema(ResponseSchema):
    """A secret for an authenticator app, which its user scans or types."""

    secret = Text(example=EXAMPLE_BASE32, about="Base32.")
    uri = Text(example=f"otpauth://totp/Movie-bag:ada%40example.com?secret={EXAMPLE_BASE32}")
    qr = Text(example="data:image/svg+xml,...", about="The URI as a QR code, for an img element.")


class RecoveryCodesSchema(ResponseSchema):
    """Ten recovery codes, which are never shown again."""

    recovery_codes = fields.List(
        fields.String(), required=True, metadata={"examples": [[EXAMPLE_RECOVERY_CODE]]}
    )
