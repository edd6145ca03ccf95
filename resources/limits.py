"""How often a route may be asked, stated at the route: by one client, for one address."""

from functools import wraps
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from flask import request

from resources.request import Decorator, View, may_refuse
from services import limits
from services.errors import TooManyRequestsError

IPV6_PREFIX = 64


def per_ip(action: str) -> Decorator:
    """Count a request for its client before anything of it is read."""

    def decorate(view: View) -> View:
        @may_refuse(TooManyRequestsError)
        @wraps(view)
        def counted(*args: Any, **path: Any) -> Any:
            limits.count(f"{action}_PER_IP", client())
            return view(*args, **path)

        return counted

    return decorate


def per_address(action: str) -> Decorator:
    """Count a request for the `email` among its fields, in the form that accounts have it in.

    So it goes between `accepts` and the view: what was mistyped counts for nobody.
    """

    def decorate(view: View) -> View:
        @may_refuse(TooManyRequestsError)
        @wraps(view)
        def counted(*args: Any, email: str, **fields: Any) -> Any:
            limits.count(f"{action}_PER_ADDRESS", email)
            return view(*args, email=email, **fields)

        return counted

    return decorate


def client() -> str:
    """Return the ip that asks; of IPv6 the /64, for a customer gets no less (RIPE-690).

    What is no ip (a Unix socket has none) is one client.
    """
    try:
        ip = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((int(ip), IPV6_PREFIX), strict=False))
