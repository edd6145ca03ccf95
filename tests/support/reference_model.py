"""Who may do what, in plain Python: what the service must do, without how it does it.

Each method is a request. It raises the error that the request must get, or does what it requests.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from database.models import ADMIN, USER
from services import errors, mail_kinds, session_service
from services.link_service import LINKS
from services.token_service import ACCESS, CHANGE, CONFIRM, PWD_RESET, REFRESH, UNDO

GRACE_SECONDS = 10
LOST_SECONDS = 60
ACCESS_GRACE_SECONDS = 10
ACCESS_SECONDS = 900
RESET_SECONDS = 600
RECENT_SECONDS = 600
CONFIRM_SECONDS = 24 * 3600
UNDO_SECONDS = 7 * 24 * 3600
TAKE_SECONDS = 60
REFRESH_SECONDS = 30 * 24 * 3600
SESSION_SECONDS = REFRESH_SECONDS + ACCESS_SECONDS // 2
REMEMBERED_GENERATIONS = 8
WEAK_PASSWORD = "password1"
LINK_SECONDS = {
    PWD_RESET: RESET_SECONDS,
    CONFIRM: CONFIRM_SECONDS,
    CHANGE: CONFIRM_SECONDS,
    UNDO: UNDO_SECONDS,
}
ROLE_NOTICES = {ADMIN: mail_kinds.ROLE_CHANGED_TO_ADMIN, USER: mail_kinds.ROLE_CHANGED_TO_USER}
# They are sent even if the account is deleted meanwhile.
NOTICES = {*ROLE_NOTICES.values(), mail_kinds.ACCOUNT_DELETED}


@dataclass
class Session:
    """A login and its refreshes."""

    created_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)
    generation: int = 0
    # Generation → when it was refreshed, and by which user agent.
    refreshed: dict[int, tuple[float, str]] = field(default_factory=dict)
    without_grace: list[int] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        unused_until = self.last_used_at + REFRESH_SECONDS
        return time.time() < min(unused_until, self.created_at + SESSION_SECONDS)

    def was_refreshed_within(self, seconds: float, generation: int) -> bool:
        return time.time() - self.refreshed.get(generation, (0, ""))[0] < seconds

    def advance(self) -> None:
        self.generation += 1
        self.without_grace = self.without_grace[-REMEMBERED_GENERATIONS:]


@dataclass(frozen=True)
class Change:
    """A change of the email: to `email` if it waits, else from it, at that time."""

    id: str
    email: str
    at: float = 0


@dataclass
class Account:
    """A user with the sessions by id, and the changes of the email that can be undone."""

    id: str
    email: str
    password: str  # empty: none is right
    role: str = USER
    is_verified: bool = False
    password_version: int = 0
    email_version: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    confirmed_by: str | None = None  # the id of the token
    pending: Change | None = None
    former: dict[str, Change] = field(default_factory=dict)

    def change_credentials(self) -> None:
        """Make void what a change of credentials does: each link but an undo."""
        self.password_version += 1
        self.email_version += 1
        self.pending = None

    def revoke_sessions(self) -> None:
        self.sessions, self.pending = {}, None


@dataclass(frozen=True)
class Mail:
    """A queued email: to the user with this address, or with this id, or about a change."""

    kind: str
    to: str
    user_id: str | None = None
    change: str | None = None


@dataclass(frozen=True)
class Link:
    """What a link in an email must say; without a scope there is none."""

    scope: str = ""
    claims: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """A token that a client has received, with the claims that it must have."""

    text: str = field(repr=False)
    scope: str
    sub: str
    exp: int
    sid: str = ""
    gen: int = 0
    auth_time: float = 0
    pwv: int = 0
    ev: int = 0
    change: str = ""
    jti: str = ""


class Model:
    """The service: accounts by id, movies, queued emails, and who may have a reserved address."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.movies: dict[str, tuple[str, str]] = {}  # id → name and owner's id
        self.queued: list[Mail] = []
        self.reserved: dict[str, tuple[str, float]] = {}  # email → user's id, and until when

    def get_by_email(self, email: str) -> Account | None:
        accounts = self.accounts.values()
        return next((account for account in accounts if account.email == email), None)

    def get_reserved_for(self, email: str) -> str | None:
        """Return the id of the user who alone may take an email now."""
        user_id, until = self.reserved.get(email, (None, 0))
        return user_id if until > time.time() else None

    def sign_up(self, email: str, password: str) -> None:
        _validate_password(password)
        if self.get_by_email(email) or self.get_reserved_for(email):
            raise errors.EmailAlreadyExistsError

    def log_in(self, email: str, password: str) -> Account:
        account = self.get_by_email(email)
        if account is None or account.password != password:
            raise errors.UnauthorizedError
        return account

    def create_session(self, account: Account, session_id: str) -> Session:
        """Add a session; the least recently used ones above the maximum are evicted."""
        active = {sid: session for sid, session in account.sessions.items() if session.is_active}
        newest = sorted(active, key=lambda sid: active[sid].last_used_at, reverse=True)
        kept = newest[: session_service.MAX_SESSIONS - 1]
        account.sessions = {sid: session for sid, session in active.items() if sid in kept}
        account.sessions[session_id] = Session()
        return account.sessions[session_id]

    def decode(self, token: Token, *scopes: str) -> Account:
        """Return the account of a token that has not expired."""
        if token.exp <= time.time():
            raise errors.ExpiredTokenError
        if token.scope not in scopes:
            raise errors.BadTokenError
        if token.sub not in self.accounts:
            raise errors.BadTokenError if token.scope in LINKS else errors.SessionEndedError
        return self.accounts[token.sub]

    def get_session(self, token: Token, *scopes: str) -> Session:
        """Return the session of a token of any generation."""
        session = self.decode(token, *scopes).sessions.get(token.sid)
        if session is None:
            raise errors.SessionEndedError
        return session

    def authenticate(self, token: Token) -> Account:
        """Return the account of an access token that is current, or in its grace."""
        session = self.get_session(token, ACCESS)
        if token.gen != session.generation and not session.was_refreshed_within(
            ACCESS_GRACE_SECONDS, token.gen
        ):
            raise errors.SupersededTokenError
        return self.accounts[token.sub]

    def is_valid(self, token: Token) -> bool:
        """Return whether the endpoints of its scope accept a token."""
        try:
            if token.scope in LINKS:
                return self._is_current(self.decode(token, token.scope), token)
            if token.scope == REFRESH:
                return self.get_session(token, REFRESH).generation == token.gen
            return bool(self.authenticate(token))
        except errors.TokenError:
            return False

    def refresh(self, token: Token, user_agent: str) -> Session:
        session = self.get_session(token, REFRESH)
        if session.generation == token.gen:
            session.last_used_at = time.time()
            session.refreshed[token.gen] = session.last_used_at, user_agent
            session.refreshed.pop(token.gen - REMEMBERED_GENERATIONS, None)
            session.advance()
        elif token.gen in session.without_grace:
            raise errors.SupersededTokenError
        elif not self._is_in_grace(session, token.gen, user_agent):
            del self.accounts[token.sub].sessions[token.sid]
            raise errors.SessionEndedError
        return session

    @staticmethod
    def _is_in_grace(session: Session, generation: int, user_agent: str) -> bool:
        seconds = LOST_SECONDS if generation == session.generation - 1 else GRACE_SECONDS
        is_same_client = user_agent == session.refreshed.get(generation, (0, ""))[1]
        return is_same_client and session.was_refreshed_within(seconds, generation)

    def log_out(self, token: Token) -> None:
        self.get_session(token, ACCESS, REFRESH)
        if token.scope == ACCESS:
            self.authenticate(token)
        del self.accounts[token.sub].sessions[token.sid]

    def revoke_sessions(self, token: Token, session_id: str | None) -> None:
        """Revoke the session with this id; without one, all."""
        account = self.authenticate(token)
        if session_id is None:
            account.revoke_sessions()
        elif account.sessions.pop(session_id, None) is None:
            raise errors.SessionNotExistsError

    def change_password(self, token: Token, current: str, password: str) -> Session:
        account = self.authenticate(token)
        if current != account.password:
            raise errors.SchemaValidationError({})
        _validate_password(password)
        self._set_password(account, password)
        session = account.sessions[token.sid]
        account.sessions = {token.sid: session}
        recent = (it for it in session.refreshed if session.was_refreshed_within(LOST_SECONDS, it))
        session.without_grace += [*sorted(recent), session.generation]
        session.refreshed = {}
        session.advance()
        return session

    def reset_password(self, token: Token, password: str) -> None:
        account = self.open_link(token, PWD_RESET)
        _validate_password(password)
        self._set_password(account, password)
        account.is_verified = True
        account.sessions = {}

    def _set_password(self, account: Account, password: str) -> None:
        account.password = password
        account.change_credentials()
        self.queued.append(Mail(mail_kinds.PASSWORD_CHANGED, account.email, account.id))

    def open_link(self, token: Token, *scopes: str) -> Account:
        """Return the account of a mailed token that may still change something."""
        account = self.decode(token, *scopes)
        if not self._is_current(account, token):
            raise errors.UsedTokenError
        return account

    @staticmethod
    def _is_current(account: Account, token: Token) -> bool:
        if token.scope == PWD_RESET:
            return token.pwv == account.password_version
        if token.scope == CONFIRM:
            return token.ev == account.email_version
        if token.scope == CHANGE:
            return account.pending is not None and token.change == account.pending.id
        return token.change in account.former

    def change_email(self, token: Token, email: str, current: str | None) -> Account | None:
        """Return the account if a change to this email waits now."""
        account = self.authenticate(token)
        if current is None:
            if account.sessions[token.sid].created_at + RECENT_SECONDS <= time.time():
                raise errors.ReauthenticationRequiredError
        elif current != account.password:
            raise errors.SchemaValidationError({})
        if email == account.email:
            return None
        self.queued.append(Mail(mail_kinds.CONFIRM_CHANGE, email, account.id))
        return account

    def confirm_email(self, token: Token) -> Account:
        account = self.decode(token, CONFIRM, CHANGE)
        if account.confirmed_by == token.jti:
            return account
        self.open_link(token, CONFIRM, CHANGE)
        if token.scope == CONFIRM:
            account.email_version += 1
        else:
            self._move(account)
        account.is_verified, account.confirmed_by = True, token.jti
        return account

    def _move(self, account: Account) -> None:
        """Replace the email by that of the change that waits; the former one stays reserved."""
        assert account.pending
        change, former_email = account.pending, account.email
        self._take(account, change.email)
        if account.is_verified:
            self._reserve(former_email, account, UNDO_SECONDS)
            account.former[change.id] = Change(change.id, former_email, time.time())
            notice = Mail(mail_kinds.EMAIL_CHANGED, former_email, account.id, change.id)
            self.queued.append(notice)
        account.email = change.email
        account.change_credentials()

    def _take(self, account: Account, email: str) -> None:
        if self.get_reserved_for(email) not in (None, account.id):
            raise errors.EmailAlreadyExistsError
        self._reserve(email, account, TAKE_SECONDS)
        if self.get_by_email(email):
            raise errors.EmailAlreadyExistsError

    def _reserve(self, email: str, account: Account, seconds: float) -> None:
        _, until = self.reserved.get(email, ("", 0))
        self.reserved[email] = account.id, max(until, time.time() + seconds)

    def reject_email(self, token: Token) -> None:
        account = self.decode(token, CONFIRM, CHANGE)
        self.open_link(token, CONFIRM, CHANGE)
        if token.scope == CHANGE:
            account.pending = None
        else:
            self._require_another_admin(account)
            self._delete(account)

    def undo_change(self, token: Token) -> Account:
        account = self.open_link(token, UNDO)
        undone = account.former[token.change]
        later = [change for change in account.former.values() if change.at >= undone.at]
        self.queued.append(
            Mail(mail_kinds.EMAIL_RESTORED, undone.email, account.id, change=undone.id)
        )
        account.email, account.password = undone.email, ""
        account.is_verified, account.confirmed_by = True, None
        account.former = {it.id: it for it in account.former.values() if it not in later}
        account.change_credentials()
        account.sessions = {}
        kept = {change.email for change in account.former.values()}
        for email in {change.email for change in later} - kept:
            self._release(email, account.id)
        return account

    def _release(self, email: str, user_id: str) -> None:
        if self.reserved.get(email, ("", 0))[0] == user_id:
            del self.reserved[email]

    def forget_expired(self) -> None:
        """Forget former emails that can't be restored any more."""
        for email, (user_id, until) in list(self.reserved.items()):
            if until <= time.time():
                del self.reserved[email]
                account = self.accounts.get(user_id)
                if account:
                    account.former = {
                        change.id: change
                        for change in account.former.values()
                        if change.email != email or change.at >= until
                    }

    def deliver(self) -> Iterator[tuple[Mail, Link]]:
        """Yield each queued email that is sent now, with its link."""
        queued, self.queued = self.queued, []
        for mail in queued:
            account = self.accounts.get(mail.user_id) if mail.user_id else None
            account = account if mail.user_id else self.get_by_email(mail.to)
            if mail.kind in NOTICES:
                yield mail, Link()
            elif account and (link := self._link_of(mail, account)):
                yield mail, link

    def _link_of(self, mail: Mail, account: Account) -> Link | None:
        """Return the link of an email of this account; None if it is not sent."""
        if mail.kind == mail_kinds.CONFIRM_EMAIL:
            is_needed = mail.to == account.email and not account.is_verified
            return self._link(CONFIRM, account, ev=account.email_version) if is_needed else None
        if mail.kind == mail_kinds.CONFIRM_CHANGE:
            return self._link_of_change(mail, account)
        if mail.kind == mail_kinds.EMAIL_CHANGED:
            change = account.former.get(mail.change or "")
            return change and self._link(UNDO, account, change.at, change=change.id)
        if mail.kind == mail_kinds.PASSWORD_CHANGED:
            return Link()
        if mail.kind == mail_kinds.EMAIL_RESTORED and mail.to != account.email:
            return None
        return self._link(PWD_RESET, account, pwv=account.password_version)

    def _link_of_change(self, mail: Mail, account: Account) -> Link | None:
        owner = self.get_by_email(mail.to)
        owner_id = owner.id if owner else self.get_reserved_for(mail.to)
        if owner_id not in (None, account.id):
            return Link()  # the address is taken: its owner gets a notice
        if account.pending is None or account.pending.email != mail.to:
            return None
        return self._link(CHANGE, account, change=account.pending.id)

    @staticmethod
    def _link(scope: str, account: Account, since: float = 0, **version: Any) -> Link:
        exp = int((since or time.time()) + LINK_SECONDS[scope])
        return Link(scope, {"scope": scope, "sub": account.id, "exp": exp, **version})

    def get_visible(self, token: Token, user_id: str) -> tuple[Account, Account]:
        """Return the account of a token, and another that it may see."""
        actor = self.authenticate(token)
        if actor.role != ADMIN and user_id != actor.id:
            raise errors.ForbiddenError
        if user_id not in self.accounts:
            raise errors.UserNotExistsError
        return actor, self.accounts[user_id]

    def list_users(self, token: Token) -> list[Account]:
        if self.authenticate(token).role != ADMIN:
            raise errors.ForbiddenError
        return list(self.accounts.values())

    def create_user(self, token: Token, email: str, password: str) -> None:
        self.list_users(token)
        self.sign_up(email, password)

    def set_role(self, token: Token, user_id: str, role: str) -> None:
        actor, account = self.get_visible(token, user_id)
        if actor.role != ADMIN:
            raise errors.ForbiddenError
        if role != account.role:
            self._require_another_admin(account)
            account.role = role
            account.revoke_sessions()
            self.queued.append(Mail(ROLE_NOTICES[role], account.email, account.id))

    def _require_another_admin(self, account: Account) -> None:
        others = [other for other in self.accounts.values() if other is not account]
        if all(other.role != ADMIN for other in others):
            raise errors.LastAdminError

    def delete_user(self, token: Token, user_id: str, password: str | None) -> None:
        actor, account = self.get_visible(token, user_id)
        if actor is account and password != account.password:
            raise errors.SchemaValidationError({})
        self._require_another_admin(account)
        self._delete(account)
        self.queued.append(Mail(mail_kinds.ACCOUNT_DELETED, account.email, account.id))

    def _delete(self, account: Account) -> None:
        del self.accounts[account.id]
        self.queued = [mail for mail in self.queued if mail.user_id or mail.to != account.email]
        self.movies = {key: movie for key, movie in self.movies.items() if movie[1] != account.id}
        for email in list(self.reserved):
            self._release(email, account.id)

    def add_movie(self, token: Token, name: str) -> Account:
        account = self.authenticate(token)
        self._require_new_name(name)
        return account

    def _require_new_name(self, name: str, movie_id: str = "") -> None:
        others = [movie for key, movie in self.movies.items() if key != movie_id]
        if name in [other_name for other_name, _ in others]:
            raise errors.MovieAlreadyExistsError

    def update_movie(self, token: Token, movie_id: str, name: str) -> None:
        account = self.authenticate(token)
        if self._owner_of(movie_id) != account.id:
            raise errors.UpdatingMovieError
        self._require_new_name(name, movie_id)
        self.movies[movie_id] = (name, account.id)

    def delete_movie(self, token: Token, movie_id: str) -> None:
        account = self.authenticate(token)
        if self._owner_of(movie_id) != account.id and account.role != ADMIN:
            raise errors.DeletingMovieError
        del self.movies[movie_id]

    def _owner_of(self, movie_id: str) -> str:
        if movie_id not in self.movies:
            raise errors.MovieNotExistsError
        return self.movies[movie_id][1]


def _validate_password(password: str) -> None:
    if password == WEAK_PASSWORD:
        raise errors.SchemaValidationError({})
