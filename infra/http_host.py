"""Hosts: the value of a Host header, and the origin of a URL."""

import re
from urllib.parse import urlsplit

# RFC 9110 §7.2 and RFC 3986 §3.2.2: a name or an IPv4, or an IPv6 in brackets; then a port.
HOST = re.compile(r"([\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?", re.ASCII)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_host(value: str) -> bool:
    """Return whether a Host header of a request may have this value."""
    return HOST.fullmatch(value) is not None


def origin_of(url: str) -> str:
    """Return the origin of an http or https URL, as a browser writes it (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removesuffix(DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{host.encode('idna').decode()}"
