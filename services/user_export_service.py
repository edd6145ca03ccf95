"""All that is stored of a user, for the user to take along (GDPR, Art. 15 and 20)."""

from typing import Any

from database.documents import EVENTS, JOBS, JOBS_BY_ID, MOVIES, SENT_MAILS, SENT_MAILS_BY_ID
from database.factors import describe_factors
from database.models import User
from database.passkeys import Passkey
from services import api_key_service, event_service, session_service
from services.event_service import Event
from services.token_claims import Claims

# Of movies and of events, the newest: so a request takes a second at most.
MAX_EXPORTED = 5000
MAILS = (JOBS, JOBS_BY_ID, SENT_MAILS, SENT_MAILS_BY_ID)


def export(user: User, claims: Claims) -> dict[str, Any]:
    """Return all that is stored of a user, but no hash, secret, code or key.

    Of more than MAX_EXPORTED movies or events, it returns the newest.
    """
    event_service.record(Event.DATA_EXPORTED, user_id=user.id)
    mails = {mail.id: mail for of_user in MAILS for mail in of_user.find_all(user)}
    return {
        "user": user,
        "pending_email": user.pending_change.get("email"),
        "former_emails": list(user.former_emails.values()),
        "factors": describe_factors(user),
        "passkeys": Passkey.find_all(user),
        "api_keys": api_key_service.list_all(user),
        "devices": user.devices.get("known", []),
        "sessions": session_service.list_active(user, claims["sid"]),
        "movies": MOVIES.find_all(user).order_by("-id").limit(MAX_EXPORTED),
        "emails": [mail for mail in mails.values() if "mail" in mail.arguments],
        "events": EVENTS.find_all(user).order_by("-id").limit(MAX_EXPORTED),
    }
