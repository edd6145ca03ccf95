"""Who may do what, in plain Python: what the service must do, without how it does it.

Each method is a request. It raises the error that the request must get, or does what it requests.
"""

import time
from dataclasses import dataclass, field

from database.models import ADMIN, USER
from services import errors, mail_service, session_service
from services.token_service import ACCESS, PWD_RESET, REFRESH

GRACE_SECONDS = 10
ACCESS_SECONDS = 900
RESET_SECONDS = 600
REFRESH_SECONDS = 30 * 24 * 3600
SESSION_SECONDS = REFRESH_SECONDS + ACCESS_SECONDS // 2
REMEMBERED_GENERATIONS = 8
WEAK_PASSWORD = "password1"


@dataclass
class Session:
    """A login and its refreshes."""

    created_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)
    generation: int = 0
    # Generation → when it was replaced.
    rotated: dict[int, float] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        unused_until = self.last_used_at + REFRESH_SECONDS
        return time.time() < min(unused_until, self.created_at + SESSION_SECONDS)


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
        if token.scope not in scopes or token.sub not in self.accounts:
            raise errors.BadTokenError
        return self.accounts[token.sub]

    def authenticate(self, token: Token, *scopes: str) -> Account:
        """Return the account of a token of an active session's current generation."""
        account = self.decode(token, *(scopes or (ACCESS,)))
        session = account.sessions.get(token.sid)
        if session is None or session.generation != token.gen:
            raise errors.BadTokenError
        return account

    def is_valid(self, token: Token) -> bool:
        """Return whether the endpoints of its scope accept a token."""
        try:
            if token.scope == PWD_RESET:
                return self.decode(token, PWD_RESET).password_version == token.pwv
            return bool(self.authenticate(token, token.scope))
        except errors.TokenError:
            return False

    def refresh(self, token: Token) -> Session:
        account, now = self.decode(token, REFRESH), time.time()
        session = account.sessions.get(token.sid)
        if session is None:
            raise errors.BadTokenError
        if session.generation == token.gen:
            session.rotated[token.gen] = session.last_used_at = now
            session.rotated.pop(token.gen - REMEMBERED_GENERATIONS, None)
            session.generation += 1
        elif now - session.rotated.get(token.gen, 0) >= GRACE_SECONDS:
            del account.sessions[token.sid]
            raise errors.BadTokenError
        return session

    def log_out(self, token: Token) -> None:
        del self.authenticate(token, ACCESS, REFRESH).sessions[token.sid]

    def revoke_sessions(self, token: Token, session_id: str | None) -> None:
        """Revoke the session with this id; without one, all."""
        sessions = self.authenticate(token).sessions
        if session_id is None:
            sessions.clear()
        elif sessions.pop(session_id, None) is None:
            raise errors.SessionNotExistsError

    def change_password(self, token: Token, current: str, password: str) -> None:
        account = self.authenticate(token)
        if current != account.password:
            raise errors.SchemaValidationError({})
        _validate_password(password)
        self._set_password(account, password)
        account.sessions = {token.sid: account.sessions[token.sid]}

    def reset_password(self, token: Token, password: str) -> None:
        account = self.decode(token, PWD_RESET)
        if account.password_version != token.pwv:
            raise errors.UsedTokenError
        _validate_password(password)
        self._set_password(account, password)
        account.sessions = {}

    def _set_password(self, account: Account, password: str) -> None:
        account.password, account.password_version = password, account.password_version + 1
        self.queued.append((mail_service.PASSWORD_CHANGED, account.email))

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
        self.queued = [(mail, email) for mail, email in self.queued if email != account.email]
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
