"""Requests that every server must refuse, because two servers may read them in two ways."""

import socket

HEAD = "{} HTTP/1.1\r\nHost: x\r\n{}\r\n"
GET = "GET /healthz"
POST = "POST /api/auth/forgot"
CHUNKED = HEAD.format(POST, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")


def _post(fields: str, body: str = "") -> str:
    return HEAD.format(POST, "Content-Type: application/json\r\n" + fields) + body


AMBIGUOUS_REQUESTS = {
    "length and chunked": _post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "chunked and length": _post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
    "chunked in HTTP/1.0": CHUNKED.replace("1.1", "1.0") + "0\r\n\r\n",
    "chunked twice": _post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    "two codings": _post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    "unknown coding": _post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    "chunked is not last": _post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    "identity": _post("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "{}"),
    "coding after a tab": _post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
    "two lengths": _post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "),
    "equal lengths": _post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
    "list of lengths": _post("Content-Length: 2, 2\r\n", "{}"),
    "signed length": _post("Content-Length: +2\r\n", "{}"),
    "negative length": _post("Content-Length: -2\r\n", "{}"),
    "hexadecimal length": _post("Content-Length: 0x2\r\n", "{}"),
    "length with an underscore": _post("Content-Length: 0_2\r\n", "{}"),
    "superscript length": _post("Content-Length: \xb2\r\n", "{}"),
    "empty length": _post("Content-Length: \r\n", "{}"),
    "length of 5000 digits": _post(f"Content-Length: {'9' * 5000}\r\n"),
    "space before the colon": _post("Content-Length : 2\r\n", "{}"),
    "no host": f"{GET} HTTP/1.1\r\n\r\n",
    "two hosts": HEAD.format(GET, "Host: y\r\n"),
    "equal hosts": HEAD.format(GET, "Host: x\r\n"),
    "two hosts in HTTP/1.0": HEAD.format(GET, "Host: y\r\n").replace("1.1", "1.0"),
    "host with a space": HEAD.format(GET, "").replace("Host: x", "Host: x y"),
    "host with a path": HEAD.format(GET, "").replace("Host: x", "Host: x/y"),
    "host with a user": HEAD.format(GET, "").replace("Host: x", "Host: a@x"),
    "empty host": HEAD.format(GET, "").replace("Host: x", "Host:"),
    "folded header": HEAD.format(GET, "A: b\r\n c\r\n"),
    "folded host": HEAD.format(GET, "").replace("Host: x", "Host:\r\n x"),
    "folded first header": f"{GET} HTTP/1.1\r\n Host: x\r\n\r\n",
    "LF alone after the request line": f"{GET} HTTP/1.1\nHost: x\r\n\r\n",
    "LF alone after a header": f"{GET} HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "LF alone everywhere": f"{GET} HTTP/1.1\nHost: x\n\n",
    "CR alone": f"{GET} HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "NUL in a header": HEAD.format(GET, "A: b\0\r\n"),
    "header without a colon": HEAD.format(GET, "A\r\n"),
    "header without a name": HEAD.format(GET, ": b\r\n"),
    "space in the target": HEAD.format("GET /healthz /", ""),
    "no target": HEAD.format("GET ", ""),
    "target in latin-1": HEAD.format("GET /\xe9", ""),
    "target without a bracket": HEAD.format("GET http://[", ""),
    "lower-case method": HEAD.format("get /healthz", ""),
    "HTTP/0.9": f"{GET}\r\nHost: x\r\n\r\n",
    "HTTP/2.0": HEAD.format(GET, "").replace("1.1", "2.0"),
    "HTTP/1.10": HEAD.format(GET, "").replace("1.1", "1.10"),
    "chunk without a size": CHUNKED + "\r\n0\r\n\r\n",
    "chunk of no number": CHUNKED + "0x2\r\n{}\r\n0\r\n\r\n",
    "negative chunk": CHUNKED + "-2\r\n{}\r\n0\r\n\r\n",
    "chunk size and LF alone": CHUNKED + "2\n{}\r\n0\r\n\r\n",
    "chunk size, LF and CRLF": CHUNKED + "2\n\r\n{}\r\n0\r\n\r\n",
    "chunk of a wrong size": CHUNKED + "1\r\n{}\r\n0\r\n\r\n",
    "LF in a chunk's extension": CHUNKED + "2;a\nb\r\n{}\r\n0\r\n\r\n",
}


def exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts of a request; return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        return connection.makefile("rb").read()
