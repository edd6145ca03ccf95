"""The page of the events: services/event_service.py says what happened, FIELDS what is logged."""

import inspect
import json
import logging
import re
from collections.abc import Collection
from datetime import UTC, datetime

from config import PRODUCTION
from infra import audit_log
from infra.logging import configure_handler
from schemas.base import EXAMPLE_ID, EXAMPLE_TIME
from scripts.reference import markdown
from scripts.reference.markdown import code, join
from services.event_service import COUNTED, MAIL_LOG, STORED, SUMMED, Event

ABOUT = """Every event that Movie-bag logs: what happened, which fields its line has, and whether
it is stored as well."""
SOURCE = "`services/event_service.py` and `scripts/reference/events.py`"
LINES = """An event is a line of the log with the level INFO. In development its message is the
event and its fields, as `event=login user=… ip=…`; in production the line is a JSON object that
has them as members too:"""
COUNTED_ABOUT = f"""They are of the logger `{audit_log.__name__}`, and each increases the metric
[`movie_bag_security_events_total`](metrics.md#counters-and-histograms). No line has an email, a
password, a token or a link."""
NOT_COUNTED_ABOUT = f"""They are of the logger `{MAIL_LOG}`. No metric counts them, because their
number would tell which addresses have an account."""
KEPT_ABOUT = """The last column says what is stored besides the line: each event (each), one for
those of a user, or of an IP where no user is known, in an hour (hourly), or nothing (line only).
[Events and logs](../logging.md) says for how long, and who may read them."""
SEE_ALSO = """[Events and logs](../logging.md) says who reads them and how to ship the lines,
[Monitoring](../monitoring.md#emails) how to find those of an email."""
FIELD = {
    "user": "the id of the user whom the event is about",
    "by": "the id of the user who did it, if that is another one: an admin",
    "ip": "the client IP, or `shell` for a command",
    "email": "a pseudonym of the email, 12 hex digits, which `flask --app app pseudonym` prints",
    "amr": "by what the user logged in (RFC 8176): `pwd`, `pwd,otp` with a code, `hwk,user`",
    "first_ip": "the client IP that exchanged the refresh token first, if it is known",
    "job": "the id of the job in the queue, as `flask --app app mail list` shows it",
    "message_id": "the Message-ID of the email, which the mail server's log has too",
    "reason": "of `token_refused` the error, or `ForeignOrigin`; of an email the mail server's"
    " reply, without addresses, links and anything that may be a token",
    "limit": "the setting whose limit was exceeded, without `RATELIMIT_`",
    "key": "a pseudonym of the IP, email or user that the limit counts; of wrong codes the user",
    "names": "the names of the settings, with commas between them; never a value",
    "number": "how many users",
    "request_id": "in every line of a request, and in its response as `X-Request-ID`",
}
USER = ("user", "ip")
ANY_ACTOR = ("user", "by", "ip")
REUSE = ("user", "ip", "first_ip")
MAIL = ("email", "job", "message_id")
BY_ADMINS = (
    Event.SIGNUP,
    Event.USER_INVITED,
    Event.SESSIONS_REVOKED,
    Event.RESET_LINK_MAILED,
    Event.ROLE_CHANGED_TO_ADMIN,
    Event.ROLE_CHANGED_TO_USER,
    Event.USER_DISABLED,
    Event.USER_ENABLED,
    Event.USER_DELETED,
)
ANONYMOUS = (
    Event.SIGNUP_REPEATED,
    Event.PASSWORD_RESET_REQUESTED,
    Event.CONFIRMATION_REQUESTED,
)
FIELDS: dict[Event, tuple[str, ...]] = {
    **dict.fromkeys(Event, USER),
    **dict.fromkeys(BY_ADMINS, ANY_ACTOR),
    **dict.fromkeys(ANONYMOUS, ("ip", "email")),
    Event.LOGIN: (*USER, "amr"),
    Event.LOGIN_FAILED: ("user", "ip", "email"),
    Event.REFRESH_TOKEN_REUSED: REUSE,
    Event.REFRESH_TOKEN_REUSED_IN_GRACE: REUSE,
    Event.TOKEN_REFUSED: ("ip", "reason"),
    Event.RATE_LIMITED: ("user", "ip", "limit", "key"),
    Event.USERS_EXPORTED: ("ip",),
    Event.USERS_IMPORTED: ("ip", "number"),
    Event.SETTINGS_CHANGED: ("ip", "names"),
    Event.MAIL_SENT: MAIL,
    Event.MAIL_DEFERRED: (*MAIL, "reason"),
    Event.MAIL_FAILED: (*MAIL, "reason"),
}
COMMENTED = re.compile(r"((?: {4}# .+\n)+) {4}[A-Z_]+ = \"(\w+)\"")


def render() -> str:
    """Return the page."""
    parts = [
        markdown.paragraph(LINES),
        markdown.json_block(example()),
        "## Security events",
        markdown.paragraph(COUNTED_ABOUT),
        markdown.paragraph(KEPT_ABOUT),
        _table(COUNTED),
        "## Emails",
        markdown.paragraph(NOT_COUNTED_ABOUT),
        _table(set(Event) - COUNTED),
        "## Fields",
        markdown.table(["field", "value"], _fields()),
        markdown.paragraph(SEE_ALSO),
    ]
    return markdown.page("Events", ABOUT, SOURCE, parts)


def _table(events: Collection[Event]) -> str:
    rows = [[code(it), meanings()[it], join(FIELDS[it]), _kept(it)] for it in Event if it in events]
    return markdown.table(["event", "what happened", "fields", "stored"], rows)


def _kept(event: Event) -> str:
    if event in SUMMED:
        return "hourly"
    return "each" if event in STORED else "line only"


def meanings() -> dict[str, str]:
    """Return the comment of each event; raises ValueError if one has none."""
    found = COMMENTED.findall(inspect.getsource(Event))
    comments = {name: " ".join(re.sub(r" {4}# ", "", text).split()) for text, name in found}
    if missing := set(Event) - comments.keys():
        raise ValueError(f"services/event_service.py does not explain {', '.join(sorted(missing))}")
    return comments


def _fields() -> list[list[str]]:
    return [[code(name), about] for name, about in FIELD.items()]


def example() -> dict[str, str]:
    """Return a line of production's log."""
    event = {"event": Event.LOGIN, "user": EXAMPLE_ID, "ip": "192.0.2.1"}
    message = " ".join(f"{name}={value}" for name, value in event.items())
    created = datetime.fromisoformat(EXAMPLE_TIME).astimezone(UTC).timestamp()
    known = {"name": audit_log.__name__, "levelname": "INFO", "msg": message, "created": created}
    record = logging.makeLogRecord({**known, "msecs": 0, "request_id": "5f2b8c1de0a94736", **event})
    line: dict[str, str] = json.loads(
        configure_handler(logging.StreamHandler(), PRODUCTION).format(record)
    )
    return line
