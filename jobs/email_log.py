"""A file that emails are appended to when there is no mail server, as text for a person."""

import fcntl
import os
from email.utils import formatdate
from pathlib import Path

from flask_mail import Message


def append(path: Path, message: Message) -> None:
    """Append an email with its link unbroken, completely or not at all; raises OSError."""
    head = f"Date: {formatdate()}\nTo: {message.recipients[0]}\nSubject: {message.subject}"
    entry = f"{head}\n\n{message.body}\n{'-' * 72}\n".encode()
    path.touch(mode=0o600)
    with path.open("ab", buffering=0) as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # emails of other processes must not interleave
        end = log.seek(0, os.SEEK_END)
        try:
            while entry:
                entry = entry[log.write(entry) :]
        except OSError:
            log.truncate(end)
            raise
