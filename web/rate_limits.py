"""Rate limits as decorators of views: per client IP, per email and per user."""

from functools import wraps
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from flask import request

from database.models import User
from services import rate_limit_service
from services.errors import TooManyRequestsError
from web.decorators import Decorator, View, note

IPV6_PREFIX = 64


def limit_by_ip(action: str) -> Decorator:
    """Count a request for its client IP, before anything of it is read."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **path: Any) -> Any:
            rate_limit_service.hit(f"{action}_PER_IP", client_ip())
            return view(*args, **path)

        return note(wrapper, errors=(TooManyRequestsError,))

    return decorate


def limit_by_email(action: str) -> Decorator:
    """Count a request for the `email` among its fields, in its normalised form.

    It belongs between `body` and the view: an invalid email counts for nobody.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, email: str, **fields: Any) -> Any:
            rate_limit_service.hit(f"{action}_PER_EMAIL", email)
            return view(*args, email=email, **fields)

        return note(wrapper, errors=(TooManyRequestsError,))

    return decorate


def limit_by_user(action: str) -> Decorator:
    """Count a request for the user of its token, before its fields are validated.

    It belongs between `requires_user` and `body`.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, user: User, **arguments: Any) -> Any:
            rate_limit_service.hit(f"{action}_PER_USER", str(user.id))
            return view(*args, user=user, **arguments)

        return note(wrapper, errors=(TooManyRequestsError,))

    return decorate


def client_ip() -> str:
    """Return the client IP; of IPv6 the /64, because a customer gets no less (RIPE-690).

    What is no IP (a Unix socket has none) is one client.
    """
    try:
        ip = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip_network((int(ip), IPV6_PREFIX), strict=False))
