"""Who may do what, in plain Python: what the service must do, without how it does it.

Each method is a request. It raises the error that the request must get, or does what it requests.
"""

import time
from dataclasses import dataclass, field

from database.models import ADMIN, USER
from services import errors, mail_kinds, session_service
from services.token_service import ACCESS, PWD_RESET, REFRESH

GRACE_SECONDS = 10
LOST_SECONDS = 60
ACCESS_GRACE_SECONDS = 10
ACCESS_SECONDS = 900
RESET_SECONDS = 600
REFRESH_SECONDS = 30 * 24 * 3600
SESSION_SECONDS = REFRESH_SECONDS + ACCESS_SECONDS // 2
REMEMBERED_GENERATIONS = 8
WEAK_PASSWORD = "password1"
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


@dataclass
class Account:
    """A user with the sessions by id."""

    id: str
    email: str
    password: str
    role: str = USER
    password_version: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)


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


class Model:
    """The service: accounts by id, movies, and queued emails as (mail, email)."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.movies: dict[str, tuple[str, str]] = {}  # id → name and owner's id
        self.queued: list[tuple[str, str]] = []

    def get_by_email(self, email: str) -> Account | None:
        accounts = self.accounts.values()
        return next((account for account in accounts if account.email == email), None)

    def sign_up(self, email: str, password: str) -> None:
        _validate_password(password)
        if self.get_by_email(email):
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
            raise errors.BadTokenError if token.scope == PWD_RESET else errors.SessionEndedError
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
            if token.scope == PWD_RESET:
                return self.decode(token, PWD_RESET).password_version == token.pwv
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
        sessions = self.authenticate(token).sessions
        if session_id is None:
            sessions.clear()
        elif sessions.pop(session_id, None) is None:
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
        account = self.decode(token, PWD_RESET)
        if account.password_version != token.pwv:
            raise errors.UsedTokenError
        _validate_password(password)
        self._set_password(account, password)
        account.sessions = {}

    def _set_password(self, account: Account, password: str) -> None:
        account.password, account.password_version = password, account.password_version + 1
        self.queued.append((mail_kinds.PASSWORD_CHANGED, account.email))

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
            account.role, account.sessions = role, {}
            self.queued.append((ROLE_NOTICES[role], account.email))

    def _require_another_admin(self, account: Account) -> None:
        others = [other for other in self.accounts.values() if other is not account]
        if all(other.role != ADMIN for other in others):
            raise errors.LastAdminError

    def delete_user(self, token: Token, user_id: str, password: str | None) -> None:
        actor, account = self.get_visible(token, user_id)
        if actor is account and password != account.password:
            raise errors.SchemaValidationError({})
        self._require_another_admin(account)
        del self.accounts[user_id]
        self.queued = [
            (mail, email)
            for mail, email in self.queued
            if email != account.email or mail in NOTICES
        ]
        self.queued.append((mail_kinds.ACCOUNT_DELETED, account.email))
        self.movies = {key: movie for key, movie in self.movies.items() if movie[1] != user_id}

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
