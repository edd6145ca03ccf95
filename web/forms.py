"""Forms: the bodies of requests whose standard wants them instead of JSON."""

from functools import wraps
from typing import Any

from marshmallow import Schema

from schemas.base import load_all
from web.body import FORM, read_form, read_query
from web.operation import Decorator, NoFields, View, note


def form(schema_class: type[Schema]) -> Decorator:
    """Pass the fields of a form to a view; unknown ones are ignored (RFC 6749 §3.2)."""
    schema, no_query = schema_class(), NoFields()

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            sent = read_form()
            known = {name: sent[name] for name in schema.fields if name in sent}
            return view(*args, **arguments, **load_all([(schema, known), (no_query, read_query())]))

        return note(wrapper, body=schema_class, query=NoFields, media_type=FORM)

    return decorate
