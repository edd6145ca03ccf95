"""The page of the errors: services/errors.py has ours, web/openapi.py those of Werkzeug."""

import inspect
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from werkzeug.exceptions import HTTPException

from config import MAX_BODY_BYTES
from scripts.reference import application, markdown
from scripts.reference.application import Json
from scripts.reference.markdown import code, link
from services import errors
from services.errors import ApiError, SchemaValidationError, TooManyRequestsError
from web.errors import error_body, error_headers
from web.openapi import ANYWHERE, COMMON, HEADERS

ABOUT = """Every error that a response of the API may name: its status, when it happens and what a
client should do. Read `error`, which does not change; `message` is for people, and may."""
SOURCE = "`services/errors.py` and `web/errors.py`"
SHAPE = """Every error has one shape. `errors` is there if fields are not valid, with a list of
sentences for each. The pages in HTML show the same errors as text."""
HTTP_ERRORS = {
    "BadRequestError": (
        "The body is not a JSON object in UTF-8, or the query is too long.",
        "Send another body: the same request fails again.",
    ),
    "NotFoundError": ("No route has this path.", "Send the request to another URL."),
    "MethodNotAllowedError": (
        "The route has no such method; `Allow` lists those it has.",
        "Send one of these.",
    ),
    "RequestTooLargeError": (f"The body has more than {MAX_BODY_BYTES // 1024} KiB.", "Send less."),
    "UnsupportedMediaTypeError": (
        "The body has another type than JSON, or none.",
        "Send `Content-Type: application/json`.",
    ),
}
SECONDS: dict[type, str] = {TooManyRequestsError: "the seconds until the next is allowed"}


class Described(NamedTuple):
    """An error: its name, an instance, when it happens and what a client should do."""

    name: str
    error: ApiError | HTTPException
    when: str
    what_to_do: str


def render() -> str:
    """Return the page."""
    found = sorted(described_errors(), key=lambda it: (error_body(it.error)["status"], it.name))
    body = error_body(SchemaValidationError({"email": [errors.MISSING_FIELD]}))
    sections = [part for it in found for part in _section(it)]
    parts = [markdown.paragraph(SHAPE), markdown.json_block(body), _overview(found), *sections]
    return markdown.page("Errors", ABOUT, SOURCE, parts)


def described_errors() -> Iterator[Described]:
    """Yield every error that a client may get."""
    for error_class in vars(errors).values():
        if isinstance(error_class, type) and hasattr(error_class, "message"):
            when, _, what_to_do = (inspect.getdoc(error_class) or "").partition("\n\n")
            yield Described(error_class.__name__, _instance(error_class), when, what_to_do)
    for error in (*COMMON, *ANYWHERE):
        if isinstance(error, HTTPException):
            name = error_body(error)["error"]
            yield Described(name, error, *HTTP_ERRORS[name])


def _instance(error_class: type[ApiError]) -> ApiError:
    return error_class({}) if error_class is SchemaValidationError else error_class()


def _overview(found: Iterable[Described]) -> str:
    rows = [[str(error_body(it.error)["status"]), link(it.name), it.when] for it in found]
    return markdown.table(["status", "error", "when"], rows)


def _section(described: Described) -> list[str]:
    body = error_body(described.error)
    properties = [f"Status: {body['status']}", f"Message: {body['message']}"]
    properties += [f"Header: {header}" for header in _headers(described)]
    properties += [f"Answered by: {_operations(described.name)}"]
    what_to_do = markdown.paragraph(f"**What to do:** {described.what_to_do}")
    when = markdown.paragraph(described.when)
    return [f"## {code(described.name)}", when, what_to_do, markdown.bullets(properties)]


def _headers(described: Described) -> Iterator[str]:
    for name, value in error_headers(described.error).items():
        if name in HEADERS:
            yield f"{code(name)}: {SECONDS.get(type(described.error), code(value))}"


def _operations(name: str) -> str:
    operations = application.operations()
    names = [it["operationId"] for it in operations if _may_answer(it, name)]
    others = [it["operationId"] for it in operations if it["operationId"] not in names]
    if not names:
        return "any request"
    if len(others) < len(names):
        return f"every operation but {_links(others)}"
    return _links(names)


def _links(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}](api.md#{name.lower()})" for name in names)


def _may_answer(operation: Json, name: str) -> bool:
    return any(name in names for names in application.error_names(operation).values())
