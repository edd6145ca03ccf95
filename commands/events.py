"""`flask --app app events`: read what happened to accounts."""

import click

from commands.group import Group
from commands.users import find_user
from database.db import BATCH_SIZE
from schemas.events import NAMES, EventSchema
from services import event_reading

events = Group("events", "Read the security events that are stored.")


@events.command("list")
@click.option("--email", help="Only those of this user.")
@click.option("--event", type=click.Choice(NAMES), help="Only these.")
def list_events(email: str | None, event: str | None) -> None:
    """List the stored events, newest first: time, name, user, by whom, IP, how often."""
    filters = {"user_id": str(find_user(email).id)} if email else {}
    filters |= {"event": event} if event else {}
    after: str | None = ""
    while after is not None:
        page, after = event_reading.list_page(BATCH_SIZE, after, **filters)
        for stored in map(EventSchema().dump, page):
            whose = (
                f"{stored['user'] or '-':24}  {stored['by'] or '-':24}  {stored['ip'] or '-':15}"
            )
            count = stored.get("count", 1)
            click.echo(f"{stored['at']}  {stored['event']:30}  {whose}  {count}")
