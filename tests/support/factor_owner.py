"""A user who is about to add a second factor, or has one, and the requests that may meet there."""

from typing import Any

from flask import Flask
from requests import Response

from database import emails
from database.models import Job, User
from services import auth_service, factor_service, token_service
from services.mail_kinds import RECOVERY_CODE_USED
from services.session_service import BY_CODE, BY_PASSWORD
from services.token_service import ACCESS
from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.email_owners import NEXT, change_email, wait_for_change
from tests.support.factor_client import code_of
from tests.support.snapshot import snapshot
from tests.support.tokens import reset_token
from tests.support.users import create_user, hash_of_password


class FactorOwner:
    """Ada has two sessions and changes her email; the time is stopped.

    Her second factor waits for a code, or is in force: then two of her logins wait for a code.
    """

    def __init__(self, app: Flask, api: ApiClient, is_in_force: bool) -> None:
        self.api = api
        user = create_user("ada@first.example")
        emails.verify(user, token_id=None)
        self.undo_token = change_email(app, user, ADA["email"])
        with app.app_context():
            self._open_sessions(user.reload(), is_in_force)
        user.reload()
        self.change_token = wait_for_change(app, user, NEXT, "b" * 24)
        self.reset_token = reset_token(app, user.reload())
        Job.objects.delete()
        self._restore_stored = snapshot()
        self._first_pair = self.pair

    def _open_sessions(self, user: User, is_in_force: bool) -> None:
        self.pair = auth_service.open_session(user, "", BY_PASSWORD)
        claims = token_service.decode(self.pair["token"], ACCESS)
        self.secret = factor_service.start_totp(user.reload(), claims)["secret"]
        if is_in_force:
            code = code_of(self.secret, -1)
            self.recovery_codes = factor_service.confirm_totp(user.reload(), claims, code)
        self.other_pair = auth_service.open_session(user.reload(), "", BY_CODE)
        error = factor_service.code_required(user.reload())
        self.mfa_token = error.members["mfa_token"]

    def restore(self) -> None:
        """Store again what there was at first, and nothing else."""
        self.pair = self._first_pair
        self._restore_stored()

    def send(self, method: str, path: str, **fields: Any) -> Response:
        """Send a request with Ada's access token."""
        token = self.pair["token"]
        return self.api.request(method, f"/api/{path}", token=token, json=fields or None)

    def start(self) -> Response:
        return self.send("POST", "auth/mfa/totp")

    def confirm(self) -> Response:
        return self.send("POST", "auth/mfa/totp/confirm", code=code_of(self.secret))

    def remove(self) -> Response:
        return self.send("DELETE", "auth/mfa/totp")

    def renew(self) -> Response:
        return self.send("POST", "auth/mfa/recovery-codes")

    def reauthenticate(self) -> Response:
        return self.send("POST", "auth/reauthenticate", code=code_of(self.secret))

    def reauthenticate_by_password(self) -> Response:
        return self.send("POST", "auth/reauthenticate", current_password=ADA["password"])

    def log_in(self) -> Response:
        return self.api.log_in()

    def finish_login(self) -> Response:
        return self._finish_login(code=code_of(self.secret))

    def finish_login_by_next_code(self) -> Response:
        return self._finish_login(code=code_of(self.secret, 1))

    def finish_login_by_recovery_code(self) -> Response:
        return self._finish_login(recovery_code=self.recovery_codes[0])

    def _finish_login(self, **code: str) -> Response:
        return self.api.post("/api/auth/login/mfa", json={"mfa_token": self.mfa_token, **code})

    def refresh(self) -> Response:
        return self.api.refresh(self.pair["refresh_token"])

    def refresh_other_session(self) -> Response:
        return self.api.refresh(self.other_pair["refresh_token"])

    def log_out(self) -> Response:
        return self.api.log_out(self.pair["token"])

    def end_sessions(self) -> Response:
        return self.send("DELETE", "auth/sessions")

    def change_password(self) -> Response:
        fields = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        return self.send("PUT", "auth/password", **fields)

    def reset_password(self) -> Response:
        return self.api.reset(self.reset_token)

    def confirm_change(self) -> Response:
        return self.api.post("/api/auth/email/confirm", json={"confirm_token": self.change_token})

    def undo_change(self) -> Response:
        return self.api.post("/api/auth/email/undo", json={"undo_token": self.undo_token})

    def delete_oneself(self) -> Response:
        return self.send("DELETE", "users/me", current_password=ADA["password"])

    def state(self) -> tuple[Any, ...] | None:
        """Return what is stored, without what differs between two runs of the same requests.

        Nor whether a code was used: a login that is refused in the end may have used one up.
        """
        user = User.objects.first()
        mails = sorted(job.arguments["mail"] for job in Job.objects if "mail" in job.arguments)
        mails = [mail for mail in mails if mail != RECOVERY_CODE_USED]
        if user is None:
            return None
        sessions = sorted((session.generation, session.amr) for session in user.sessions.values())
        password = {hash_of_password(): "first", "": "none"}.get(user.password, "another")
        codes = bool(user.factors.get("recovery_codes"))
        factors = user.has_totp, codes, "pending_totp" in user.factors
        return user.email, password, factors, sessions, mails
