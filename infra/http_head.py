"""What both servers require of the head of a request, so that no two programs read it in two ways.

llhttp reads what else there is for gunicorn's worker (deploy/http_request.py), waitress for the
development server (infra/http_server.py).
"""

import re

from infra.http_host import is_host

# Method, target and minor version (RFC 9112 §3).
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")


def has_valid_host(hosts: list[str], minor_version: int) -> bool:
    """Return whether there is one valid Host; in HTTP/1.0 none is needed (RFC 9112 §3.2)."""
    if not hosts:
        return minor_version == 0
    return len(hosts) == 1 and is_host(hosts[0])


def is_valid_coding(coding: str, minor_version: int) -> bool:
    """Return whether a Transfer-Encoding is `chunked`, and not in HTTP/1.0 (RFC 9112 §6.1)."""
    return minor_version > 0 and coding.lower() == "chunked"
