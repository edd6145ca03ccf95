"""Any input is refused with a reason per field, or loads to what is valid: nothing else happens."""

import base64
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from database.models import User
from resources.routes import API_ROUTES
from schemas import api_keys, auth, emails, events, factors, invitations, movies, passkeys, users
from schemas.api_keys import FutureTime
from schemas.base import RequestSchema, load
from schemas.fields import NameCursor, QueryFlag
from services import password_service
from services.errors import SchemaValidationError
from tests.support.client import NEW_PASSWORD
from tests.support.strategies import EMAILS, TEXT, requests_for
from tests.support.validity import VALID_CREDENTIAL, have_reasons, is_valid

# Valid in every schema that declares the field.
VALID = {
    **dict.fromkeys(["password", "password_confirmation", "current_password"], NEW_PASSWORD),
    **dict.fromkeys(["casts", "genres"], ["Drama"]),
    **dict.fromkeys(["name", "genre", "q"], "Ada"),
    **dict.fromkeys(["reset_token", "refresh_token", "confirm_token", "undo_token"], "Ada"),
    **dict.fromkeys(["invite_token", "mfa_token", "recovery_code"], "Ada"),
    **{"disabled": True, "user": 24 * "0", "event": "login"},
    **{"code": "123456", "credential": VALID_CREDENTIAL, "cookie": True, "token": "Ada"},
    **{"scopes": ["introspect"], "expires_at": "2099-01-01T00:00:00+01:00"},
    **dict.fromkeys(["_id", "id", "added_by"], "Ada"),
    **{"email": "ada@example.com", "role": "user", "locale": "pt-BR", "limit": 5, "after": "QWRh"},
}
SCHEMAS = [
    schema
    for module in (api_keys, auth, emails, events, factors, invitations, movies, passkeys, users)
    for schema in vars(module).values()
    if isinstance(schema, type)
    and issubclass(schema, RequestSchema)
    and schema.__module__ == module.__name__
]


def request_value(field, value):
    """Return the value of a request that loads to value."""
    if isinstance(field, NameCursor):
        return base64.urlsafe_b64encode(value.encode()).decode()
    if isinstance(field, FutureTime):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return str(value).lower() if isinstance(field, QueryFlag) else value


class TestRequestSchemas:
    def test_all_schemas_of_requests_are_tested(self):
        operations = [
            getattr(resource, method.lower()).operation
            for resource in API_ROUTES.values()
            for method in resource.methods
        ]
        used = {schema for operation in operations for schema in (operation.body, operation.query)}
        assert {schema for schema in used if schema and schema().fields} <= set(SCHEMAS)

    @pytest.mark.parametrize("schema", SCHEMAS)
    def test_request_is_refused_or_loads_to_valid_values(self, app, schema):
        declared, accepted = schema().fields, []
        user = User(email="eve@example.com")
        names = {field.attribute or name: name for name, field in declared.items()}

        def load_by_name(request):
            return {names[key]: value for key, value in load(schema(), request, user).items()}

        @given(requests_for(schema))
        @example({name: VALID[name] for name in declared})
        @example({"after": []})
        @example({"name": "\u00a8"})
        @example({"name": "\ufdfa" * 100})
        def check(request):
            try:
                loaded = load_by_name(request)
            except SchemaValidationError as error:
                assert have_reasons(error.errors)
                return
            invalid = {name for name in loaded if not is_valid(declared[name], loaded[name])}
            assert invalid == set()
            again = {name: request_value(declared[name], loaded[name]) for name in loaded}
            assert load_by_name(again) == loaded
            accepted.append(loaded)

        with app.app_context():
            check()
        assert accepted


class TestPasswords:
    def test_password_is_refused_with_reasons_or_long_enough(self, app):
        @given(TEXT, EMAILS, TEXT)
        def check(password, email, name):
            reasons = password_service.weaknesses(password, User(email=email, name=name))
            if reasons:
                assert have_reasons({"password": reasons})
            else:
                assert 8 <= len(unicodedata.normalize("NFKC", password)) <= 128

        with app.app_context():
            check()

    def test_password_equals_itself_alone_however_it_is_typed(self, app):
        @given(
            TEXT.filter(len),
            st.sampled_from([str, str.swapcase, "{0}\0{0}".format, lambda text: text[:72]]),
        )
        def check(password, alter):
            user = User(password=password_service.hash_password(password))
            normal = unicodedata.normalize("NFKC", password)
            for other in (alter(password), unicodedata.normalize("NFD", password)):
                same = unicodedata.normalize("NFKC", other) == normal
                assert password_service.verify_password(user, other) == same

        with app.app_context():
            check()
