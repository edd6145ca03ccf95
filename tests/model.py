"""Who may do what, in plain Python: what the service must do, without how it does it.

Each method is a request. It raises the refusal that the request must get, or does what it asks.
"""

import time
from dataclasses import dataclass, field

from database.models import ADMIN, USER
from services import errors, mail_service, session_service
from services.token_service import ACCESS, PWD_RESET, REFRESH

GRACE, ACCESS_SECONDS, RESET_SECONDS = 10, 900, 600
REFRESH_SECONDS = 30 * 24 * 3600
SESSION_SECONDS = REFRESH_SECONDS + ACCESS_SECONDS // 2
REMEMBERED = 8
WEAK = "password1"


@dataclass
class Session:
    """A login, and all that was refreshed from it."""

    created_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)
    generation: int = 0
    rotated: dict[int, float] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        used, created = self.last_used_at + REFRESH_SECONDS, self.created_at + SESSION_SECONDS
        return time.time() < min(used, created)


@dataclass
class Account:
    """A user."""

    id: str
    email: str
    password: str
    role: str = USER
    version: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """A token that somebody has seen, and what it must say."""

    text: str = field(repr=False)
    scope: str
    sub: str
    exp: int
    sid: str = ""
    gen: int = 0
    auth_time: float = 0
    pwv: int = 0


class Model:
    """The service."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.movies: dict[str, tuple[str, str]] = {}  # id → name and owner's id
        self.wishes: list[tuple[str, str]] = []  # kind and address

    def with_email(self, email: str) -> Account | None:
        return next((each for each in self.accounts.values() if each.email == email), None)

    def sign_up(self, email: str, password: str) -> None:
        if password == WEAK:
            raise errors.SchemaValidationError
        if self.with_email(email):
            raise errors.EmailAlreadyExistsError

    def log_in(self, email: str, password: str) -> Account:
        account = self.with_email(email)
        if account is None or account.password != password:
            raise errors.UnauthorizedError
        return account

    def begin(self, account: Account, sid: str) -> Session:
        """Make room for a session; the least used ones leave."""
        living = [key for key, session in account.sessions.items() if session.lives]
        living.sort(key=lambda key: account.sessions[key].last_used_at, reverse=True)
        kept = living[: session_service.MAX_SESSIONS - 1]
        account.sessions = {key: account.sessions[key] for key in account.sessions if key in kept}
        account.sessions[sid] = Session()
        return account.sessions[sid]

    def read(self, token: Token, *scopes: str) -> Account:
        if token.exp <= time.time():
            raise errors.ExpiredTokenError
        if token.scope not in scopes or token.sub not in self.accounts:
            raise errors.BadTokenError
        return self.accounts[token.sub]

    def authenticate(self, token: Token, *scopes: str) -> Account:
        account = self.read(token, *(scopes or (ACCESS,)))
        session = account.sessions.get(token.sid)
        if session is None or session.generation != token.gen:
            raise errors.BadTokenError
        return account

    def takes(self, token: Token) -> bool:
        """Say whether a token is good for what it is for."""
        try:
            if token.scope == PWD_RESET:
                return self.read(token, PWD_RESET).version == token.pwv
            return bool(self.authenticate(token, token.scope))
        except errors.TokenError:
            return False

    def refresh(self, token: Token) -> Session:
        account, now = self.read(token, REFRESH), time.time()
        session = account.sessions.get(token.sid)
        if session is None:
            raise errors.BadTokenError
        if session.generation == token.gen:
            session.rotated[token.gen] = session.last_used_at = now
            session.rotated.pop(token.gen - REMEMBERED, None)
            session.generation += 1
        elif now - session.rotated.get(token.gen, 0) >= GRACE:
            del account.sessions[token.sid]
            raise errors.BadTokenError
        return session

    def log_out(self, token: Token) -> None:
        del self.authenticate(token, ACCESS, REFRESH).sessions[token.sid]

    def end_sessions(self, token: Token, sid: str | None) -> None:
        """End the session named sid, or all."""
        sessions = self.authenticate(token).sessions
        if sid is None:
            sessions.clear()
        elif sessions.pop(sid, None) is None:
            raise errors.SessionNotExistsError

    def change_password(self, token: Token, current: str, password: str) -> None:
        account = self.authenticate(token)
        if current != account.password or password == WEAK:
            raise errors.SchemaValidationError
        self._set_password(account, password)
        account.sessions = {token.sid: account.sessions[token.sid]}

    def reset(self, token: Token, password: str) -> None:
        account = self.read(token, PWD_RESET)
        if account.version != token.pwv:
            raise errors.UsedTokenError
        if password == WEAK:
            raise errors.SchemaValidationError
        self._set_password(account, password)
        account.sessions = {}

    def _set_password(self, account: Account, password: str) -> None:
        account.password, account.version = password, account.version + 1
        self.wishes.append((mail_service.PASSWORD_CHANGED, account.email))

    def seen(self, token: Token, user_id: str) -> tuple[Account, Account]:
        """Return who asks, and the account that they ask for."""
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

    def create(self, token: Token, email: str, password: str) -> None:
        self.list_users(token)
        self.sign_up(email, password)

    def give_role(self, token: Token, user_id: str, role: str) -> None:
        actor, account = self.seen(token, user_id)
        if actor.role != ADMIN:
            raise errors.ForbiddenError
        if role != account.role:
            self._leave_an_admin(account)
            account.role, account.sessions = role, {}

    def _leave_an_admin(self, besides: Account) -> None:
        if all(a.role != ADMIN for a in self.accounts.values() if a is not besides):
            raise errors.LastAdminError

    def delete(self, token: Token, user_id: str, password: str | None) -> None:
        actor, account = self.seen(token, user_id)
        if actor is account and password != account.password:
            raise errors.SchemaValidationError
        self._leave_an_admin(account)
        del self.accounts[user_id]
        self.wishes = [wish for wish in self.wishes if wish[1] != account.email]
        self.movies = {key: movie for key, movie in self.movies.items() if movie[1] != user_id}

    def add_movie(self, token: Token, name: str) -> Account:
        account = self.authenticate(token)
        self._be_new(name)
        return account

    def _be_new(self, name: str, besides: str = "") -> None:
        if name in [movie[0] for key, movie in self.movies.items() if key != besides]:
            raise errors.MovieAlreadyExistsError

    def change_movie(self, token: Token, movie_id: str, name: str) -> None:
        account = self.authenticate(token)
        if self._owner_of(movie_id) != account.id:
            raise errors.UpdatingMovieError
        self._be_new(name, besides=movie_id)
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
