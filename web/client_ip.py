"""The client IP behind proxies, read from X-Forwarded-For in the spellings that proxies use."""

import logging
import re
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from flask import Flask

# No IP with its zone and port is longer.
MAX_CHARACTERS = 100
# RFC 7239 §6: 192.0.2.1:4711, [2001:db8::1]:4711, in quotes or not, the port perhaps obfuscated.
# A bare IPv6 has no port. A zone (fe80::1%eth0) says nothing to this machine.
V4 = r"(?P<v4>[0-9.]+)"
V6 = r"[0-9A-Fa-f:.]+"
ZONE = r"(%[\w.-]+)?"
PORT = r"(:([0-9]{1,5}|_[\w.-]+))?"
NODE = re.compile(rf"({V4}{PORT}|\[(?P<v6>{V6}){ZONE}\]{PORT}|(?P<bare>{V6}){ZONE})", re.ASCII)
QUOTED = re.compile(r'\A"(.*)"\Z')

logger = logging.getLogger(__name__)
Application = Callable[[dict[str, Any], Any], Any]


def initialize_client_ip(app: Flask) -> None:
    """Make `request.remote_addr` the IP that the first of TRUSTED_PROXIES saw.

    Only the client IP comes from a header: no URL is built from scheme or host of a request.
    """
    wsgi: Application = app.wsgi_app
    proxies = app.config["TRUSTED_PROXIES"]

    def with_client_ip(environ: dict[str, Any], start_response: Any) -> Any:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR")
        environ["REMOTE_ADDR"] = _client_ip(peer, forwarded, proxies)
        return wsgi(environ, start_response)

    app.wsgi_app = with_client_ip  # type: ignore[method-assign]


def parse_ip(text: str) -> str | None:
    """Return the IP in an entry of X-Forwarded-For in its usual spelling, None if there is none."""
    text = text.strip(" \t") if len(text) <= MAX_CHARACTERS else ""
    match = NODE.fullmatch(QUOTED.sub(r"\1", text))
    if match is None:
        return None
    try:
        ip = ip_address(match["v4"] or match["v6"] or match["bare"])
    except ValueError:
        return None
    return str(_unmapped(ip))


# Proxies have few addresses; other headers than a peer's address may be long.
_parse_peer = lru_cache(parse_ip)


def _unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip


def _client_ip(peer: str, forwarded: str | None, proxies: int) -> str:
    peer = _parse_peer(peer) or peer
    if forwarded is None:
        return peer
    if not proxies:
        _warn_once("X-Forwarded-For arrives, but TRUSTED_PROXIES is 0: all its clients are one IP")
        return peer
    entries = forwarded.rsplit(",", proxies)[-proxies:]
    if len(entries) < proxies:
        return peer
    if ip := parse_ip(entries[0]):
        return ip
    _warn_once("X-Forwarded-For names no IP where TRUSTED_PROXIES says: that of the proxy counts")
    return peer


@cache
def _warn_once(message: str) -> None:
    logger.warning(message)
