"""Users in every state that a link for an email leaves, and the requests that may meet there."""

import re
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from requests import Response

from database import emails
from database.emails import ReservedEmail
from database.models import ADMIN, Job, User
from services import email_service, session_service
from services.email_change_service import TAKE_SECONDS
from services.link_service import LINKS, encode_link
from services.session_service import BY_PASSWORD
from services.token_service import CHANGE, CONFIRM, PWD_RESET, UNDO
from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.smtp_server import Mailbox, text_of
from tests.support.snapshot import snapshot
from tests.support.users import create_user, hash_of_password

FIRST, PRESENT, NEXT = "ada@first.example", ADA["email"], "ada@next.example"
OTHER, UNPROVED = "eve@example.com", "bob@example.com"
LINKED_PAGE = re.compile(r"/(reset|confirm|undo)/\S+")


def link_token(app: Flask, scope: str, user: User, change_id: str = "") -> str:
    """Return the token of a link as the worker would mail it."""
    with app.app_context():
        return encode_link(LINKS[scope], user.reload(), change_id).rpartition("/")[2]


def wait_for_change(app: Flask, user: User, email: str, change_id: str) -> str:
    """Store a change that waits for its confirmation; return the token that confirms it."""
    User.objects(id=user.id).update(set__pending_change={"id": change_id, "email": email})
    return link_token(app, CHANGE, user)


def change_email(app: Flask, user: User, email: str, change_id: str = "a" * 24) -> str:
    """Change the email of a user; return the token that undoes it, if theirs was verified."""
    token = wait_for_change(app, user, email, change_id)
    with app.app_context():
        email_service.confirm(*email_service.open_confirmation(token))
    return link_token(app, UNDO, user, change_id) if user.is_verified else ""


def create_users() -> dict[str, User]:
    """Create the users by name."""
    users = {
        "Ada": create_user(FIRST),
        "Eve": create_user(OTHER),
        "Bob": create_user(UNPROVED),
        "Root": create_user("root@example.com", ADMIN),
    }
    for name in users.keys() - {"Bob"}:
        emails.verify(users[name], token_id=None)
    return users


class Owners:
    """Ada has changed her email once and is about to do it again, Eve to take the same email.

    Bob is not verified yet, and about to change his email as well; an admin looks on.
    """

    def __init__(self, app: Flask, api: ApiClient) -> None:
        self.api = api
        self.users = create_users()
        ada, eve, bob, root = self.users.values()
        self.undo_token = change_email(app, ada, PRESENT)
        self.change_tokens = {
            "Ada": wait_for_change(app, ada, NEXT, "b" * 24),
            "Eve": wait_for_change(app, eve, NEXT, "c" * 24),
            "Bob": wait_for_change(app, bob, "bob@next.example", "d" * 24),
        }
        self.confirm_token = link_token(app, CONFIRM, bob)
        self.reset_tokens = {
            name: link_token(app, PWD_RESET, user) for name, user in self.users.items()
        }
        with app.app_context():
            self.pairs = {
                name: session_service.create(user.reload(), "", BY_PASSWORD)
                for name, user in self.users.items()
            }
        ReservedEmail.objects(until__lt=time.time() + TAKE_SECONDS).delete()
        Job.objects.delete()
        # It stores again what there was at first, and nothing else.
        self.restore = snapshot()

    def send(self, method: str, path: str, name: str = "", **fields: Any) -> Response:
        """Send a request with the access token of a user, if one is named."""
        token = self.pairs[name]["token"] if name else None
        return self.api.request(method, f"/api/{path}", token=token, json=fields or None)

    def confirm_change(self, name: str = "Ada") -> Response:
        return self.send("POST", "auth/email/confirm", confirm_token=self.change_tokens[name])

    def reject_change(self) -> Response:
        return self.send("POST", "auth/email/reject", confirm_token=self.change_tokens["Ada"])

    def undo_change(self) -> Response:
        return self.send("POST", "auth/email/undo", undo_token=self.undo_token)

    def confirm_signup(self) -> Response:
        return self.send("POST", "auth/email/confirm", confirm_token=self.confirm_token)

    def reject_signup(self) -> Response:
        return self.send("POST", "auth/email/reject", confirm_token=self.confirm_token)

    def sign_up(self, email: str) -> Response:
        return self.send("POST", "auth/signup", email=email, password=ADA["password"])

    def request_change(self) -> Response:
        fields = {"email": "ada@other.example", "current_password": ADA["password"]}
        return self.send("PUT", "auth/email", "Ada", **fields)

    def change_password(self) -> Response:
        fields = {"current_password": ADA["password"], "password": NEW_PASSWORD}
        return self.send("PUT", "auth/password", "Ada", **fields)

    def reset_password(self, name: str = "Ada") -> Response:
        fields = {"reset_token": self.reset_tokens[name], "password": NEW_PASSWORD}
        return self.send("POST", "auth/reset", **fields)

    def end_sessions(self) -> Response:
        return self.send("DELETE", "auth/sessions", "Ada")

    def refresh(self) -> Response:
        return self.api.refresh(self.pairs["Ada"]["refresh_token"])

    def log_in(self, email: str = PRESENT) -> Response:
        return self.api.log_in(email=email)

    def delete_oneself(self) -> Response:
        return self.send("DELETE", "users/me", "Ada", current_password=ADA["password"])

    def delete_as_admin(self, name: str = "Ada") -> Response:
        return self.send("DELETE", f"users/{self.users[name].id}", "Root")

    def disable_as_admin(self) -> Response:
        return self.send("PATCH", f"users/{self.users['Ada'].id}", "Root", disabled=True)

    def state(self) -> dict[str, Any]:
        """Return what is stored, without what differs between two runs of the same requests."""
        names = {str(user.id): name for name, user in self.users.items()}
        users = {str(user.id): user for user in User.objects}
        for reserved in ReservedEmail.objects(user_id__nin=[*users], until__gt=time.time()):
            raise AssertionError(f"{reserved.email} is reserved for a user who was deleted")
        lasting = ReservedEmail.objects(until__gt=time.time() + TAKE_SECONDS)
        owners = {reserved.email: reserved.user_id for reserved in lasting}
        for user_id, user in users.items():
            assert owners.pop(user.email, user_id) == user_id, user.email
        return {"reserved": {email: names[owner] for email, owner in owners.items()}} | {
            names.get(user_id, "signup"): describe(user) for user_id, user in users.items()
        }


def describe(user: User) -> tuple[Any, ...]:
    """Return what is stored of a user, without times, hashes, ids and versions."""
    known = {hash_of_password(): "first", "": "none"}
    former = sorted(change["email"] for change in user.former_emails.values())
    waits = user.pending_change.get("email")
    password = known.get(user.password, "another")
    account = user.role, user.is_disabled, len(user.sessions)
    return user.email, user.is_verified, waits, former, password, *account


def describe_mails(mailbox: Mailbox) -> list[tuple[str, str]]:
    """Return to whom mails went and to which page the link of each leads; of others, nothing.

    Those are notices: they go to the email that the user had when the request began.
    """
    pages = ((mail["To"], LINKED_PAGE.search(text_of(mail))) for mail in mailbox.mails)
    return sorted((address, page[1]) if page else ("", "") for address, page in pages)


Request = Callable[[Owners], Response]
