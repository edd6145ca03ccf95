"""What expires, and is deleted by the worker now and then."""

from flask import current_app

from database.events import StoredEvent
from database.hash_kinds import HashKind
from database.passkeys import Challenge
from services import email_change_service, session_sweep


def delete_expired() -> None:
    """Delete former emails, challenges, sessions and events whose time is over."""
    email_change_service.delete_expired()
    Challenge.delete_expired()
    session_sweep.delete_expired()
    HashKind.delete_unused()
    StoredEvent.delete_older(current_app.config["EVENT_DAYS"])
