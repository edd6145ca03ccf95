"""`flask --app app events`: read what happened to accounts."""

import click

from commands.group import Group
from commands.paging import read_pages
from commands.users import find_user
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
    for stored in map(EventSchema().dump, read_pages(event_reading.list_page, **filters)):
        whose = f"{stored['user'] or '-':24}  {stored['by'] or '-':24}  {stored['ip'] or '-':15}"
        count = stored.get("count", 1)
        click.echo(f"{stored['at']}  {stored['event']:30}  {whose}  {count}")
