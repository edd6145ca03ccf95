"""Rate limits as decorators of views: per client IP, per email and per user."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from flask import request

from services import rate_limit_service
from services.errors import TooManyRequestsError
from web.operation import Decorator, guard

IPV6_PREFIX = 64


def limit_by_ip(action: str) -> Decorator:
    """Count a request for its client IP, before anything of it is read."""
    return _limit(f"{action}_PER_IP", lambda _: client_ip())


def limit_by_email(action: str) -> Decorator:
    """Count a request for the `email` among its fields, in its normalised form.

    It belongs between `body` and the view: an invalid email counts for nobody.
    """
    return _limit(f"{action}_PER_EMAIL", lambda arguments: arguments["email"])


def limit_by_user(action: str) -> Decorator:
    """Count a request for the user of its token.

    It belongs below `requires_user`; above `body`, a request with invalid fields counts too.
    """
    return _limit(f"{action}_PER_USER", lambda arguments: str(arguments["user"].id))


def _limit(name: str, key_of: Callable[[dict[str, Any]], str]) -> Decorator:
    """Count a request against RATELIMIT_<name> for the key that its view's arguments give."""
    return guard(
        lambda arguments: rate_limit_service.hit(name, key_of(arguments)), TooManyRequestsError
    )


def client_ip() -> str:
    """Return the client IP; of IPv6 the /64, because a customer gets no less (RIPE-690).

    What is no IP (a Unix socket has none) is one client.
    """
    return _network(request.remote_addr or "")


@lru_cache(4096)
def _network(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip_network((int(ip), IPV6_PREFIX), strict=False))
