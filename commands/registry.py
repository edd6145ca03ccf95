"""Every command on one page."""

from flask import Flask

from commands.check import check
from commands.database import db
from commands.events import events
from commands.keys import keys
from commands.mail import mail
from commands.movies import movies
from commands.passwords import passwords
from commands.pseudonym import print_pseudonym
from commands.secret import secret
from commands.sessions import sessions
from commands.user_import import user
from commands.webhooks import webhooks


def initialize_commands(app: Flask) -> None:
    """Register every command."""
    for command in (
        user,
        sessions,
        events,
        mail,
        webhooks,
        movies,
        db,
        secret,
        keys,
        passwords,
        check,
        print_pseudonym,
    ):
        app.cli.add_command(command)
