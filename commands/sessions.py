"""`flask --app app sessions`: revoke sessions."""

import click

from commands.group import Group
from commands.users import find_user
from database import users
from services import event_service, session_service
from services.event_service import Event

sessions = Group("sessions", "Manage sessions.")


@sessions.command()
@click.argument("email", required=False)
@click.option("--all", "everyone", is_flag=True, help="Revoke the sessions of every user.")
def revoke(email: str | None, everyone: bool) -> None:
    """Revoke every session of the user with EMAIL, or of all users: they must log in again."""
    if bool(email) == everyone:
        raise click.UsageError("Give an email, or --all.")
    if email:
        session_service.revoke_all(find_user(email))
        return
    users.revoke_sessions_of_everyone()
    event_service.record(Event.SESSIONS_REVOKED)
