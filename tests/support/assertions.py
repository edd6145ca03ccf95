"""Assertions about responses, and requests that no HTTP library sends."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests


@contextmanager
def case(**values: Any) -> Iterator[None]:
    """Name the values of a loop in the message of an assertion that fails."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"case: {values}")
        raise


def assert_error(response: requests.Response, status: int, error: str) -> dict[str, list[str]]:
    """Assert that a response is this error in the one JSON shape; return `errors` by field."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() - {"errors"} == {"message", "status", "error"}
    assert (body["status"], body["error"]) == (status, error)
    assert isinstance(body["message"], str)
    assert body["message"]
    errors: dict[str, list[str]] = body.get("errors", {})
    for sentences in errors.values():
        assert sentences
        assert all(isinstance(sentence, str) and sentence for sentence in sentences)
    return errors


def raw_get(
    port: int, headers: list[tuple[str, Any]], path: str = "/api/auth/verify"
) -> tuple[http.client.HTTPResponse, Any]:
    """Send GET with exactly these headers; return the response and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, json.loads(body)
