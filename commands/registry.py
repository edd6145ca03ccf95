"""Every command on one page."""

from flask import Flask

from commands.database import db
from commands.mail import mail
from commands.movies import movies
from commands.pseudonym import print_pseudonym
from commands.secret import secret
from commands.sessions import sessions
from commands.users import user


def initialize_commands(app: Flask) -> None:
    """Register every command."""
    for command in (user, sessions, mail, movies, db, secret, print_pseudonym):
        app.cli.add_command(command)
