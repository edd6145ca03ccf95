"""The page of the API, from the OpenAPI document."""

import inspect
from collections.abc import Iterator
from itertools import groupby
from urllib.parse import urlencode

from config import MAX_BODY_BYTES
from scripts.reference import application, markdown
from scripts.reference.application import Json
from scripts.reference.markdown import code, link
from scripts.reference.values import example, in_words, link_to, name_of, resolved
from services.api_key_service import INTROSPECT
from services.token_service import ACCESS, CHANGE, CONFIRM, INVITE, PWD_RESET, REFRESH, UNDO
from web import openapi
from web.body import FORM
from web.decorators import SESSION_ERRORS
from web.errors import error_body
from web.json_response import JSON

ABOUT = "Every operation of the API: what it takes and what it answers."
SOURCE = (
    "the OpenAPI document, which `web/openapi.py` reads off the routes, decorators and schemas,"
)
SEE_ALSO = """[Sessions](../concepts/sessions.md) explains when to refresh,
[Tokens](../concepts/tokens.md) what the tokens contain; [Limits](../limits.md) has the
rate limits behind `TooManyRequestsError`."""
TOKENS = {
    (): "none",
    (ACCESS,): "an access token",
    (REFRESH,): "a refresh token, as `refresh_token` in the body or as the bearer token",
    (ACCESS, REFRESH): "an access token; or a refresh token, in the body or as the bearer token",
    (PWD_RESET,): "the token of the email, as `reset_token` in the body or as the bearer token",
    (CONFIRM, CHANGE): "that of the email, as `confirm_token` in the body or as the bearer token",
    (INTROSPECT,): "an API key, as the bearer token",
    (UNDO,): "the token of the email, as `undo_token` in the body or as the bearer token",
    (INVITE,): "the token of the email, as `invite_token` in the body or as the bearer token",
}
# What nearly every operation may answer; said once, at the top.
COMMON = {error_body(error)["error"] for error in openapi.COMMON}
OF_ACCESS_TOKENS = {error.__name__ for error in SESSION_ERRORS}
ACCESS_LINKS = ", ".join(link(name, "errors.md") for name in sorted(OF_ACCESS_TOKENS))
COMMON_LINKS = ", ".join(link(name, "errors.md") for name in sorted(COMMON))
RULES = f"""\
The URLs are below [`PUBLIC_URL`](settings.md#public_url). A running server has this description
as OpenAPI 3.1 at `/api/openapi.json`, and as forms to try out at `/api/docs`.

A body is a JSON object in UTF-8 with `Content-Type: application/json`, of at most
{MAX_BODY_BYTES // 1024} KiB. Fields and query parameters that an operation does not know are
refused, so that a misspelt one is noticed. [introspect](#introspect) alone takes a form, and
ignores the fields that it does not know.

A response is JSON, with status 200 unless it is an error. A later version may add fields: ignore
those that you don't know.

An operation that takes an access token expects the header `Authorization: Bearer …` with the
`token` of [login](#login) or [refresh](#refresh).

An error has the fields `message`, `status` and `error`, its name. [Errors](errors.md) says what
to do about each. A section below lists the errors of its operation, without those that nearly
every one may answer: {COMMON_LINKS}; and without those of an access token or a refresh token:
{ACCESS_LINKS}. Any request may answer
[`InternalServerError`](errors.md#internalservererror), and one with a wrong URL or method
[`NotFoundError`](errors.md#notfounderror) or
[`MethodNotAllowedError`](errors.md#methodnotallowederror).

[listMovies](#listmovies) and [listUsers](#listusers) return one page. While there are more, the
header `Link: <…>; rel="next"` has the URL of the next page.

Every response has an `X-Request-ID`, which is in the log of the server too. A client may set it."""


def render() -> str:
    """Return the page."""
    by_tag = groupby(application.operations(), lambda it: it["tags"][0])
    chapters = [part for tag, operations in by_tag for part in _chapter(tag, list(operations))]
    sections = [part for name in response_names() for part in _response_section(name)]
    intro = [markdown.bullets(RULES.split("\n\n")), markdown.paragraph(SEE_ALSO), _overview()]
    nested = [part for name in nested_names() for part in _nested_section(name)]
    parts = [*intro, *chapters, "## Parts of bodies", *nested, "## Responses", *sections]
    return markdown.page("API", ABOUT, SOURCE, parts)


def _overview() -> str:
    rows = [
        [link_to(it["operationId"]), code(f"{it['method']} {it['path']}"), it["summary"]]
        for it in application.operations()
    ]
    return markdown.table(["operation", "request", "does"], rows)


def _chapter(tag: str, operations: list[Json]) -> list[str]:
    (about,) = (it["description"] for it in application.document()["tags"] if it["name"] == tag)
    title, _, details = about.rstrip(".").partition(": ")
    intro = [markdown.paragraph(f"{details[0].upper()}{details[1:]}.")] if details else []
    return [f"## {title}", *intro, *(part for it in operations for part in _operation(it))]


def _operation(operation: Json) -> Iterator[str]:
    """Yield the parts of the section of an operation."""
    yield f"### {operation['operationId']}"
    yield markdown.paragraph(f"**`{operation['method']} {operation['path']}`** {_about(operation)}")
    yield markdown.bullets(_properties(operation))
    if rows := [*_inputs(operation)]:
        yield markdown.table(["field", "in", "required", "value"], rows)
    if content := _body(operation):
        sent = content["example"]
        is_form = operation["view"].media_type == FORM
        block = f"```text\n{urlencode(sent)}\n```" if is_form else markdown.json_block(sent)
        yield f"Request:\n\n{block}"
    yield f"Response:\n\n{markdown.json_block(example(_success(operation)))}"


def _about(operation: Json) -> str:
    return f"{operation['summary']} {operation['description']}".strip()


def _properties(operation: Json) -> Iterator[str]:
    yield f"Token: {TOKENS[operation['view'].scopes]}"
    if body := operation.get("requestBody"):
        yield f"Body: {body['description']}{'' if body['required'] else ' It may be left out.'}"
    yield f"Response: {in_words(_success(operation))}"
    for name, header in operation["responses"]["200"].get("headers", {}).items():
        yield f"Header {code(name)}: {header['description']}"
    if errors := _errors(operation):
        yield f"Errors: {errors}"


def _errors(operation: Json) -> str:
    """Return links to the errors of an operation by status, without those said once for all."""
    by_status = application.error_names(operation)
    names = {name for names in by_status.values() for name in names}
    common = {name for said in (COMMON, OF_ACCESS_TOKENS) if said <= names for name in said}
    own = {status: [it for it in names if it not in common] for status, names in by_status.items()}
    return "; ".join(
        f"{status} {', '.join(link(name, 'errors.md') for name in names)}"
        for status, names in own.items()
        if names
    )


def _inputs(operation: Json) -> Iterator[list[str]]:
    """Yield a row for each field: of the path, of the query, of the body."""
    for parameter in operation["parameters"]:
        schema = {**parameter["schema"], "description": parameter.get("description", "")}
        required = "yes" if parameter["required"] else "no"
        yield [code(parameter["name"]), parameter["in"], required, _described(schema)]
    if content := _body(operation):
        schema = resolved(content["schema"])
        for name, field in schema["properties"].items():
            required = "yes" if name in schema.get("required", []) else "no"
            required = "read-only" if field.get("readOnly") else required
            yield [code(name), "body", required, _described(field)]


def nested_names() -> list[str]:
    """Return the names of the schemas that only fields of bodies refer to, directly or not."""
    names: list[str] = []
    found = [_body(it)["schema"] for it in application.operations() if _body(it)]
    found += [{"$ref": f"/{name}"} for name in response_names()]
    while found:
        fields = resolved(found.pop()).get("properties", {}).values()
        parts = [part for field in fields for part in (field, field.get("items", {}))]
        inner = [it for it in parts if name_of(it) and name_of(it) not in names]
        names += map(name_of, inner)
        found += inner
    return sorted({*names} - {*response_names()})


def _nested_section(name: str) -> list[str]:
    schema = resolved({"$ref": f"/{name}"})
    required = schema.get("required", [])
    rows = [
        [code(field), "yes" if field in required else "no", _described(about)]
        for field, about in schema["properties"].items()
    ]
    return [f"### {name}", markdown.table(["field", "required", "value"], rows)]


def _described(field: Json) -> str:
    """Return what a field means, and in words what it may be."""
    words = in_words(field)
    return f"{field.get('description', '')} {words[0].upper()}{words[1:]}.".strip()


def _body(operation: Json) -> Json:
    contents: Json = operation.get("requestBody", {}).get("content", {})
    content: Json = contents.get(operation["view"].media_type, {})
    return content


def _success(operation: Json) -> Json:
    schema: Json = operation["responses"]["200"]["content"][JSON]["schema"]
    return schema


def response_names() -> list[str]:
    """Return the names of the schemas of all responses."""
    return sorted(set(map(_response_name, application.operations())))


def _response_name(operation: Json) -> str:
    schema = _success(operation)
    return name_of(schema) or name_of(schema["items"])


def _response_section(name: str) -> list[str]:
    schema = resolved({"$ref": f"/{name}"})
    rows = [[code(field), _described(about)] for field, about in schema["properties"].items()]
    operations = [it for it in application.operations() if _response_name(it) == name]
    about = inspect.getdoc(operations[0]["view"].response)
    links = ", ".join(link_to(it["operationId"]) for it in operations)
    described = markdown.paragraph(f"{about} Answered by {links}.")
    return [f"### {name}", described, markdown.table(["field", "value"], rows)]
