"""`flask --app app user`: manage accounts."""

import json

import click

from commands.group import Group
from commands.paging import read_pages
from database.factors import describe_factors
from database.models import ADMIN, ROLES, USER, User
from schemas.auth import EmailSchema, SessionSchema
from schemas.base import iso, load
from schemas.users import UserCreateSchema, UserPageSchema, UserSchema
from services import (
    auth_service,
    email_service,
    factor_service,
    invitation_service,
    session_service,
    user_service,
)

user = Group("user", "Manage accounts.")


def find_user(email: str) -> User:
    """Return the user with this email; raises SchemaValidationError, UserNotExistsError."""
    return user_service.get_by_email(normalize_email(email))


def normalize_email(email: str) -> str:
    """Return an email as it is stored; raises SchemaValidationError."""
    return str(load(EmailSchema(), {"email": email})["email"])


@user.command(creates=True)
@click.argument("email")
@click.option("--name", help="The name in emails to the user.")
@click.option("--admin", is_flag=True, help="Make the user an admin, who manages other users.")
@click.password_option(help="Prompted for if it is not given.")
def create(email: str, name: str | None, admin: bool, password: str) -> None:
    """Create an account, whose email counts as verified, and print its id."""
    fields = {"email": email, "password": password, "role": ADMIN if admin else USER}
    fields |= {"name": name} if name else {}
    click.echo(auth_service.sign_up(**load(UserCreateSchema(), fields), is_verified=True).id)


@user.command("list")
@click.option("--email", help="Only the account with this email.")
@click.option("--role", type=click.Choice(ROLES), help="Only those with this role.")
@click.option("--disabled/--enabled", default=None, help="Only those that are, or are not.")
@click.option("--q", "beginning", help="Only those whose email or a word of whose name begins so.")
def list_users(
    email: str | None, role: str | None, disabled: bool | None, beginning: str | None
) -> None:
    """List accounts in the order of signup: id, role, state, time of signup, email."""
    given = {"email": email, "role": role, "q": beginning}
    wanted = {name: it for name, it in given.items() if it is not None}
    filters = load(UserPageSchema(), wanted)
    filters.pop("limit")
    if disabled is not None:
        filters["disabled"] = disabled
    for account in read_pages(user_service.list_page, **filters):
        created, state = iso(account.created_at), _state(account)
        click.echo(f"{account.id}  {account.role:5}  {state:8}  {created}  {account.email}")


def _state(account: User) -> str:
    if account.is_disabled:
        return "disabled"
    return "invited" if account.invited_at else "active"


@user.command()
@click.argument("email")
def show(email: str) -> None:
    """Show an account: what the API shows, its factors and how many sessions it has."""
    account = find_user(email)
    described = UserSchema().dump(account) | describe_factors(account)
    described["sessions"] = len(session_service.list_active(account))
    for name, value in described.items():
        click.echo(f"{name}: {json.dumps(value, ensure_ascii=False)}")


@user.command(creates=True)
@click.argument("email")
@click.option("--name", help="The name in emails to the user.")
@click.option("--admin", is_flag=True, help="Make the user an admin once they accept.")
@click.option("--locale", help="The language of emails, one of MAIL_LOCALES.")
def invite(email: str, name: str | None, admin: bool, locale: str | None) -> None:
    """Create an account whose owner sets the password by a link in a mail, and print its id.

    Of an invitation that is pending, the mail is sent again.
    """
    account = User.get_by_email(normalize_email(email))
    if account and account.invited_at:
        user_service.mail_reset_link(account)
        click.echo(account.id)
        return
    given = {"email": email, "name": name, "locale": locale, "role": ADMIN if admin else USER}
    fields = {name: it for name, it in given.items() if it is not None}
    click.echo(invitation_service.invite(**load(UserCreateSchema(), fields)).id)


@user.command()
@click.argument("email")
def disable(email: str) -> None:
    """Switch an account off: its sessions and links are void at once."""
    user_service.set_disabled(find_user(email), True)


@user.command()
@click.argument("email")
def enable(email: str) -> None:
    """Switch an account on again; what was void stays void."""
    user_service.set_disabled(find_user(email), False)


@user.command()
@click.argument("email")
def sessions(email: str) -> None:
    """List the sessions of an account, newest first: id, login, last use, IP, device."""
    for session in SessionSchema(many=True).dump(session_service.list_active(find_user(email))):
        times = f"{session['created_at']}  {session['last_used_at']}"
        click.echo(f"{session['id']}  {times}  {session['ip'] or '-':15}  {session['device']}")


@user.command()
@click.argument("email")
def logout(email: str) -> None:
    """Revoke every session of an account: its user must log in again."""
    session_service.revoke_all(find_user(email))


@user.command()
@click.argument("email")
def promote(email: str) -> None:
    """Make a user an admin: an email notifies them, and they must log in again."""
    user_service.set_role(find_user(email), ADMIN)


@user.command()
@click.argument("email")
def demote(email: str) -> None:
    """Make an admin a user: an email notifies them, and they must log in again."""
    user_service.set_role(find_user(email), USER)


@user.command()
@click.argument("emails", metavar="EMAIL...", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Every account.")
def verify(emails: tuple[str, ...], everybody: bool) -> None:
    """Mark the emails of accounts as verified: you know that they belong to their users."""
    if bool(emails) == everybody:
        raise click.UsageError("Name some emails, or give --all.")
    wanted = None if everybody else [normalize_email(email) for email in emails]
    verified, unknown = email_service.mark_verified(wanted)
    click.echo(f"{verified} verified")
    if unknown:
        raise click.ClickException(f"No user has the email {', '.join(unknown)}")


@user.command()
@click.argument("email")
@click.option("--factors", is_flag=True, help="Remove the second factor and every passkey, too.")
def reset(email: str, factors: bool) -> None:
    """Mail a link that sets a new password, to a user who has lost what they log in with."""
    account = find_user(email)
    if factors:
        factor_service.reset(account)
    user_service.mail_reset_link(account)


@user.command()
@click.argument("email")
@click.confirmation_option(prompt="Delete the account and everything that belongs to it?")
def delete(email: str) -> None:
    """Delete an account and everything that belongs to it; an email notifies its user."""
    user_service.delete(find_user(email))
