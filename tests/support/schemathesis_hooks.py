"""What schemathesis needs to know of us: how to get a token for what a route asks."""

import json
import os
from typing import Any

import requests
import schemathesis


@schemathesis.auth()
class AnAdminsToken:
    """A token of a session of its own for each request, so that none ends another's."""

    def get(self, case: Any, context: Any) -> str:
        """Log the admin in; return the token of the scope that the route asks for."""
        login = f"{case.operation.base_url}/api/auth/login"
        tokens = requests.post(login, json=json.loads(os.environ["ADMIN"]), timeout=10).json()
        return tokens["refresh_token" if "refresh" in scopes(case) else "token"]

    def set(self, case: Any, token: str, context: Any) -> None:
        """Send it, where the route asks for one."""
        if scopes(case):
            case.headers["Authorization"] = f"Bearer {token}"


def scopes(case: Any) -> set[str]:
    """Return the scopes that the document names for a route."""
    security = case.operation.definition.raw.get("security", [])
    return {scope for one in security for scope in one}
