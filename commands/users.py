"""`flask --app app user`: manage accounts."""

import click

from commands.group import Group
from database.db import read_all
from database.models import ADMIN, USER, User
from schemas.auth import EmailSchema
from schemas.base import iso, load
from schemas.users import UserCreateSchema
from services import (
    auth_service,
    email_service,
    factor_service,
    password_service,
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
def list_users() -> None:
    """List every account: id, role, time of signup, email."""
    for account in read_all(User, "role", "created_at", "email"):
        created = iso(account["created_at"])
        click.echo(
            f"{account['_id']}  {account.get('role', USER):5}  {created}  {account['email']}"
        )


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
    password_service.request_reset(account.email)


@user.command()
@click.argument("email")
@click.confirmation_option(prompt="Delete the account and everything that belongs to it?")
def delete(email: str) -> None:
    """Delete an account and everything that belongs to it; an email notifies its user."""
    user_service.delete(find_user(email))
