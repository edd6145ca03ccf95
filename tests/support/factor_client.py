"""Requests about the second factor, and the codes that an authenticator app shows."""

import time
from typing import Any, NamedTuple

import pyotp
import requests

from database.models import Job, User
from tests.support.client import ApiClient

STEP = 30
PENDING_SECONDS = 600
RECENT_SECONDS = 600
TOTP_PATH = "/api/auth/mfa/totp"
CODES_PATH = "/api/auth/mfa/recovery-codes"


class Factor(NamedTuple):
    """A second factor, with the tokens of the session that added it."""

    tokens: dict[str, Any]
    secret: str
    recovery_codes: list[str]

    @property
    def token(self) -> str:
        """Return the access token."""
        token: str = self.tokens["token"]
        return token


def code_of(secret: str, steps: int = 0) -> str:
    """Return the code that an authenticator app shows now, or so many steps from now."""
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // STEP + steps)


def wrong_code(secret: str) -> str:
    """Return a code that is of no step around now."""
    around = [code_of(secret, steps) for steps in range(-5, 6)]
    return next(code for code in ("000000", *"123456") if code.zfill(6) not in around).zfill(6)


def start_totp(api: ApiClient, token: str) -> requests.Response:
    return api.post(TOTP_PATH, token=token)


def confirm_totp(api: ApiClient, token: str, code: str) -> requests.Response:
    return api.post(f"{TOTP_PATH}/confirm", token=token, json={"code": code})


def remove_totp(api: ApiClient, token: str) -> requests.Response:
    return api.delete(TOTP_PATH, token=token)


def renew_codes(api: ApiClient, token: str) -> requests.Response:
    return api.post(CODES_PATH, token=token)


def reauthenticate(api: ApiClient, token: str, **proof: Any) -> requests.Response:
    return api.post("/api/auth/reauthenticate", token=token, json=proof)


def enrol(api: ApiClient, tokens: dict[str, Any]) -> Factor:
    """Put a second factor in force, with the code that the app shows now."""
    secret = start_totp(api, tokens["token"]).json()["secret"]
    response = confirm_totp(api, tokens["token"], code_of(secret))
    assert response.status_code == 200, response.text
    return Factor(tokens, secret, response.json()["recovery_codes"])


def get_factors(api: ApiClient, token: str) -> dict[str, Any]:
    factors: dict[str, Any] = api.get("/api/auth/mfa", token=token).json()
    return factors


def begin_login(api: ApiClient, **fields: str) -> str:
    """Log in by password, and return the token of the login that waits for a code."""
    response = api.log_in(**fields)
    assert response.json()["error"] == "SecondFactorRequiredError", response.text
    token: str = response.json()["mfa_token"]
    return token


def finish_login(api: ApiClient, mfa_token: str, **code: str) -> requests.Response:
    return api.post("/api/auth/login/mfa", json={"mfa_token": mfa_token, **code})


def log_in_by_code(api: ApiClient, code: str, **fields: str) -> requests.Response:
    """Log in by password and a code."""
    return finish_login(api, begin_login(api, **fields), code=code)


def queued_mails() -> list[tuple[str, str]]:
    """Return kind and recipient of each email that is queued; no worker runs."""
    return [(job.arguments["mail"], job.arguments["to"]) for job in Job.objects]


def counted_tries() -> list[int]:
    """Return how many wrong codes each window of the one user has counted."""
    return [window["count"] for window in User.objects.get().factors.get("tries", {}).values()]
