"""An upgrade that is killed after any of its writes is completed by the next one."""

import signal
import subprocess
import sys

import pytest
from mongoengine.connection import get_db

from database.migrations import MIGRATIONS, stored_version
from database.models import Job, Movie
from database.sent_mail import SentMail
from tests.support.old_documents import (
    MOVIES,
    old_mails,
    remove_old_documents,
    store_old_documents,
)
from tests.support.processes import HOME, environment

# Upgrades, and kills itself after so many writes.
SCRIPT = """
import os, signal, sys
from flask import Flask
from pymongo import monitoring
from config import load_settings
from database.db import initialize_db
from database.migrations import upgrade

class Failpoint(monitoring.CommandListener):
    left = int(sys.argv[1])
    def started(self, event): pass
    def failed(self, event): self.succeeded(event)
    def succeeded(self, event):
        if event.command_name in ("update", "insert", "delete", "drop", "dropIndexes"):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

app = Flask("upgrade")
app.config.update(load_settings())
monitoring.register(Failpoint())
initialize_db(app)
upgrade()
"""


@pytest.mark.slow
def test_killed_upgrade_is_completed(documents, settings):
    mails, writes = old_mails(), 0
    store_old_documents(get_db(), mails)
    returncode = -signal.SIGKILL
    while returncode == -signal.SIGKILL:
        writes += 1
        command = [sys.executable, "-c", SCRIPT, str(writes)]
        returncode = subprocess.run(command, cwd=HOME, env=environment(**settings)).returncode
        if returncode == -signal.SIGKILL:
            complete_upgrade(settings, mails)
            store_old_documents(get_db(), mails)
    assert returncode == 0
    assert writes > 8
    remove_old_documents(get_db())


def complete_upgrade(settings, mails):
    """Run the upgrade to its end; everything is there once."""
    command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    subprocess.run(command, cwd=HOME, env=environment(**settings), check=True, capture_output=True)
    assert stored_version() == len(MIGRATIONS)
    assert sorted(movie.name for movie in Movie.objects) == sorted(MOVIES)
    assert all(movie.name_casefold == movie.name.casefold() for movie in Movie.objects)
    assert {job.id for job in Job.objects} == {m["_id"] for m in mails.values()} - sent(mails)
    assert {copy.id for copy in SentMail.objects} == sent(mails)
    assert "mail" not in get_db().list_collection_names()


def sent(mails):
    return {mails["sent"]["_id"]}
