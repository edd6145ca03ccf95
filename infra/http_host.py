"""The value of a Host header."""

import re

# RFC 9110 §7.2 and RFC 3986 §3.2.2: a name or an IPv4, or an IPv6 in brackets; then a port.
HOST = re.compile(r"([\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?", re.ASCII)


def is_host(value: str) -> bool:
    """Return whether a Host header of a request may have this value."""
    return HOST.fullmatch(value) is not None
