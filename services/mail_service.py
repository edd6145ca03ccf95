"""Mails: what they say, and the two ways they go, over SMTP or into DATA_DIR/email.log."""

import fcntl
import os
import ssl
from email.policy import compat32
from email.utils import formatdate, parseaddr

import flask_mail
from flask import current_app, render_template

from database.models import Mail, User
from services import smtp, token_service

# The templates of templates/email with their subjects.
RESET, PASSWORD_CHANGED = "reset", "password_changed"
SUBJECTS = {
    RESET: "Reset your Movie-bag password",
    PASSWORD_CHANGED: "Your Movie-bag password was changed",
}

AS_IT_IS = compat32.clone(linesep="\r\n")

mail = flask_mail.Mail()


class Message(flask_mail.Message):
    """A mail that is put into bytes in half of Flask-Mail's time; the bytes are the same."""

    def as_bytes(self) -> bytes:
        """Return the mail as it goes over SMTP.

        Its headers are encoded by now: Flask-Mail has each parsed and folded once more.
        """
        built = self._message()
        built.policy = AS_IT_IS
        return built.as_bytes()


def compose(wish: Mail, user: User) -> Message:
    """Return the mail that wish asks for. A reset token's minutes run from now.

    Its links come from the settings alone: nothing of a request gets here.
    """
    config, facts = current_app.config, {"name": user.name}
    if wish.kind == RESET:
        token = token_service.reset_token(user)
        facts["link"] = config["RESET_URL"].replace("{token}", token)
        facts["lifetime"] = in_words(config["RESET_TOKEN_EXPIRE_MINUTES"])
    message = Message(SUBJECTS[wish.kind], recipients=[user.email])
    message.body = render_template(f"email/{wish.kind}.txt", **facts)
    message.html = render_template(f"email/{wish.kind}.html", **facts)
    # Delivered twice after a crash, it is one mail to a mail program.
    domain = parseaddr(config["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2]
    message.msgId = f"<{wish.id}@{domain}>"
    return message


def in_words(minutes: int) -> str:
    """Say a time as a person would: 90 is "1 hour and 30 minutes"."""
    hours, rest = divmod(minutes, 60)
    parts = [f"{n} {unit}{'s' * (n > 1)}" for n, unit in ((hours, "hour"), (rest, "minute")) if n]
    return " and ".join(parts)


class Connection(flask_mail.Connection):
    """The way for a batch of mails, opened when the first of them is ready.

    Flask-Mail's own has no timeout, and its STARTTLS takes any certificate.
    """

    def open(self) -> bool:
        """Connect to MAIL_SERVER, with MAIL_TIMEOUT on every answer, and log in if need be.

        Say whether there was anything to do. Raises OSError, of which SMTPException is one;
        close it then too.
        """
        if self.host is not None or self.mail.server is None:
            return False
        server, port = self.mail.server, self.mail.port
        timeout = current_app.config["MAIL_TIMEOUT"]
        if self.mail.use_ssl:
            tls = ssl.create_default_context()
            self.host = smtp.TLSClient(server, port, timeout=timeout, context=tls)
        else:
            self.host = smtp.Client(server, port, timeout=timeout)
        if self.mail.use_tls:
            self.host.starttls(context=ssl.create_default_context())
        if self.mail.username and self.mail.password:
            self.host.login(self.mail.username, self.mail.password)
        return True

    def deliver(self, message: flask_mail.Message) -> None:
        """Send one mail, or write it down; raises OSError, of which SMTPException is one."""
        if self.mail.server is None:
            _append_to_log(message)
        else:
            self.send(message)

    def close(self) -> None:
        """End the dialogue, politely if the server still listens."""
        host, self.host = self.host, None
        if host is not None:
            try:
                host.quit()
            except OSError:
                host.close()


def _append_to_log(message: flask_mail.Message) -> None:
    """Write a mail as text, its link in one piece, to DATA_DIR/email.log, whole or not at all."""
    path = current_app.config["DATA_DIR"] / "email.log"
    head = f"Date: {formatdate()}\nTo: {message.recipients[0]}\nSubject: {message.subject}"
    rest = f"{head}\n\n{message.body}\n{'-' * 72}\n".encode()
    path.touch(mode=0o600)
    with path.open("ab", buffering=0) as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # nobody else's mail may follow a part of this one
        end = log.seek(0, os.SEEK_END)
        try:
            while rest:
                rest = rest[log.write(rest) :]
        except OSError:
            log.truncate(end)
            raise
