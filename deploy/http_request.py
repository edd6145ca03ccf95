"""A request whose bytes are here, read by llhttp, the parser of Node.js, for an application."""

import io
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
from gunicorn.http.errors import (
    InvalidHeader,
    InvalidRequestLine,
    LimitRequestHeaders,
    ParseException,
)

from infra.http_head import REQUEST_LINE, has_valid_host, is_valid_coding

MAX_FIELDS = 100
# The offer of another protocol (RFC 9110 §7.8).
OFFER = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)
# Fields without HTTP_ before their name in an environment (PEP 3333).
WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")
HOST, CODING = "HTTP_HOST", "HTTP_TRANSFER_ENCODING"
# Of two of these, two programs may each take another one (RFC 9110 §5.3).
SINGLE = (HOST, "CONTENT_TYPE")


class Request:
    """A request, by what its first line says; llhttp calls the methods that begin with `on_`."""

    def __init__(self, method: str, uri: str, minor_version: int) -> None:
        """Begin without the fields and the body."""
        self.method, self.uri, self.version = method, uri, (1, minor_version)
        self.path = self.query = ""
        self.body = io.BytesIO()
        self.fields: dict[str, str] = {}
        self.has_head = self.is_whole = False
        self.refusal: ParseException | None = None
        self._count = 0

    def should_close(self) -> bool:
        """Return whether the client sends no other request (RFC 9112 §9.3)."""
        options = [it.strip() for it in self.fields.get("HTTP_CONNECTION", "").lower().split(",")]
        return "close" in options or (self.version == (1, 0) and "keep-alive" not in options)

    def environ(self, of_connection: dict[str, Any]) -> dict[str, Any]:
        """Return what an application is called with (PEP 3333)."""
        return {
            **of_connection,
            **self.fields,
            "REQUEST_METHOD": self.method,
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_PROTOCOL": f"HTTP/1.{self.version[1]}",
            "wsgi.input": self.body,
        }

    def on_message_begin(self) -> None:
        """Refuse a second request: the worker and llhttp don't agree on the end of the first."""
        if self.is_whole:
            self.refusal = InvalidHeader("CONTENT-LENGTH")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, unless it follows the body, or its name is like another's to programs."""
        self._count += 1
        if self._count > MAX_FIELDS:
            self.refusal = LimitRequestHeaders("limit request headers fields")
        elif not self.has_head and b"_" not in name:
            key = name.decode().upper().replace("-", "_")
            key = key if key in WITHOUT_PREFIX else f"HTTP_{key}"
            self._add(key, value.decode("latin-1").strip(" \t"))

    def _add(self, key: str, value: str) -> None:
        if key in self.fields:
            value = f"{self.fields[key]},{value}"
            if key in SINGLE:
                self.refusal = InvalidHeader(key)
        self.fields[key] = value

    def on_headers_complete(self) -> None:
        """Take no other fields."""
        self.has_head = True

    def on_body(self, part: bytes) -> None:
        """Take a part of the body, without the sizes of chunks."""
        self.body.write(part)

    def on_message_complete(self) -> None:
        """Note that nothing is missing."""
        self.is_whole = True


def read_request(data: bytes, *, is_cut: bool) -> Request:
    """Return the request that the data are; if it is cut, not all of the body is here.

    Raises:
        InvalidRequestLine, InvalidHeader: they are no request, or could be read in two ways.
        LimitRequestHeaders
    """
    line = REQUEST_LINE.fullmatch(data, 0, data.find(b"\r\n"))
    if line is None:
        raise InvalidRequestLine("")
    request = Request(line[1].decode(), line[2].decode(), int(line[3]))
    parser = httptools.HttpRequestParser(request)
    try:
        # llhttp knows only some methods, and whether a request is valid depends on none.
        parser.feed_data(b"POST")
        parser.feed_data(memoryview(data)[line.end(1) :])
        url = httptools.parse_url(line[2])
    except httptools.HttpParserUpgrade as offer:
        # llhttp takes the body for another protocol; who leaves the offer alone does not.
        body_at = line.end(1) + offer.args[0]
        return read_request(OFFER.sub(b"", data[:body_at]) + data[body_at:], is_cut=is_cut)
    except httptools.HttpParserInvalidURLError:
        raise InvalidRequestLine("") from None
    except httptools.HttpParserError as error:
        raise InvalidHeader(str(error)) from None
    _check(request, is_cut)
    request.path = unquote_to_bytes(url.path or b"/").decode("latin-1")
    request.query = (url.query or b"").decode()
    request.body.seek(0)
    return request


def _check(request: Request, is_cut: bool) -> None:
    """Require what llhttp does not: one valid host, no coding but chunked (RFC 9112 §3.2, §6.1)."""
    if request.refusal:
        raise request.refusal
    if not (request.has_head if is_cut else request.is_whole):
        raise InvalidHeader("CONTENT-LENGTH")
    fields, minor_version = request.fields, request.version[1]
    hosts = [fields[HOST]] if HOST in fields else []
    if not has_valid_host(hosts, minor_version):
        raise InvalidHeader(HOST)
    if CODING in fields and not is_valid_coding(fields[CODING], minor_version):
        raise InvalidHeader(CODING)
