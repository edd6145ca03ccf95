"""What the decorators of a view note about it, so that the OpenAPI document says what is done."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from marshmallow import Schema

from schemas.base import RequestSchema
from web.json_response import JSON

View = Callable[..., Any]
Decorator = Callable[[View], View]
Check = Callable[[dict[str, Any]], object]


class NoFields(RequestSchema):
    """No field at all: what a view without input accepts."""


@dataclass
class Operation:
    """What the decorators of a view note: its input, its output, its errors and its tokens."""

    name: str = ""
    body: type[Schema] = NoFields
    query: type[Schema] | None = None
    media_type: str = JSON
    response: type[Schema] | None = None
    many: bool = False
    location: str = ""
    errors: tuple[type[Exception], ...] = ()
    scopes: tuple[str, ...] = ()


def note(view: View, **notes: Any) -> View:
    """Add notes to the operation of a view; errors add up, other notes replace earlier ones.

    functools.wraps copies the attributes of a view to its wrapper: both share one operation.
    """
    operation = vars(view).setdefault("operation", Operation())
    notes["errors"] = (*operation.errors, *notes.get("errors", ()))
    vars(operation).update(notes)
    return view


def guard(check: Check, *error_classes: type[Exception]) -> Decorator:
    """Return a decorator that calls check with the arguments of a view first.

    check raises one of error_classes to refuse the request.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **arguments: Any) -> Any:
            check(arguments)
            return view(*args, **arguments)

        return note(wrapper, errors=error_classes)

    return decorate
