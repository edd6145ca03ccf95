"""Who may do what, in plain Python: what the service must do, without how it does it.

Each method is a request. It raises the error that the request must get, or does what it requests.
"""

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from database.models import ADMIN, USER
from services import errors, mail_kinds, passkey_service, session_service
from services.link_service import LINKS
from services.token_service import ACCESS, CHANGE, CONFIRM, MFA, PWD_RESET, REFRESH, UNDO

GRACE_SECONDS = 10
LOST_SECONDS = 60
ACCESS_GRACE_SECONDS = 10
ACCESS_SECONDS = 900
RESET_SECONDS = 600
RECENT_SECONDS = 600
CONFIRM_SECONDS = 24 * 3600
UNDO_SECONDS = 7 * 24 * 3600
TAKE_SECONDS = 60
LOGIN_SECONDS = 300
PENDING_SECONDS = 600
STEP_SECONDS = 30
# By what a user has logged in.
PASSWORD = ["pwd"]
CODE = ["pwd", "otp"]
PASSKEY = ["hwk", "user"]
# How many wrong codes are looked at, by the seconds of a window.
MFA_LIMITS = {60: 3, 3600: 5}
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
# They have no link.
REPORTS = {
    *(mail_kinds.PASSWORD_CHANGED, mail_kinds.TOTP_ADDED, mail_kinds.TOTP_REMOVED),
    *(mail_kinds.RECOVERY_CODES_CREATED, mail_kinds.RECOVERY_CODE_USED),
    *(mail_kinds.PASSKEY_ADDED, mail_kinds.PASSKEY_REMOVED),
}


@dataclass
class Session:
    """A login and its refreshes."""

    created_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)
    generation: int = 0
    # Generation → when it was refreshed, and by which user agent.
    refreshed: dict[int, tuple[float, str]] = field(default_factory=dict)
    without_grace: list[int] = field(default_factory=list)
    auth_time: int = field(default_factory=lambda: int(time.time()))
    amr: list[str] = field(default_factory=PASSWORD.copy)

    @property
    def is_recent(self) -> bool:
        return time.time() < self.auth_time + RECENT_SECONDS

    @property
    def is_active(self) -> bool:
        unused_until = self.last_used_at + REFRESH_SECONDS
        return time.time() < min(unused_until, self.created_at + SESSION_SECONDS)

    def was_refreshed_within(self, seconds: float, generation: int) -> bool:
        return time.time() - self.refreshed.get(generation, (0, ""))[0] < seconds

    def advance(self) -> None:
        self.generation += 1
        self.without_grace = self.without_grace[-REMEMBERED_GENERATIONS:]

    def advance_without_grace(self) -> None:
        """Supersede the pair at once, and the refresh tokens that are still in their grace."""
        recent = (it for it in self.refreshed if self.was_refreshed_within(LOST_SECONDS, it))
        self.without_grace += [*sorted(recent), self.generation]
        self.refreshed = {}
        self.advance()


@dataclass(frozen=True)
class Change:
    """A change of the email: to `email` if it waits, else from it, at that time."""

    id: str
    email: str
    at: float = 0
    version: int = 0


@dataclass(frozen=True)
class Code:
    """A code that an authenticator app with this secret shows in a step of time."""

    secret: str
    step: int

    def is_of(self, secret: str) -> bool:
        return self.secret == secret and abs(self.step - time.time() // STEP_SECONDS) <= 1


@dataclass
class Totp:
    """A second factor: the step of its last code, and the password_version when it was added."""

    secret: str
    step: int
    version: int


@dataclass(frozen=True)
class PendingTotp:
    """A second factor that is being added, by a session."""

    secret: str
    session_id: str
    created_at: float


@dataclass
class Passkey:
    """A passkey: the count of its uses, and the password_version when it was added."""

    version: int
    sign_count: int
    name: str
    last_used_at: float | None = None


@dataclass
class Account:
    """A user with the sessions by id, changes of the email that can be undone, and factors."""

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
    logins: int = 0
    totp: Totp | None = None
    pending_totp: PendingTotp | None = None
    recovery_codes: list[str] = field(default_factory=list)
    codes_version: int = 0  # the password_version when they were made
    passkeys: dict[str, Passkey] = field(default_factory=dict)
    # Seconds of a window → until when it lasts, and its wrong codes.
    tries: dict[int, tuple[float, int]] = field(default_factory=dict)
    is_disabled: bool = False

    def change_credentials(self) -> None:
        """Make void what a change of credentials does: each link but an undo."""
        self.password_version += 1
        self.email_version += 1
        self.pending = self.pending_totp = None

    def remove_factors(self, version: int) -> None:
        """Remove what was added after a password_version."""
        if self.totp and self.totp.version > version:
            self.totp, self.recovery_codes = None, []
        if self.codes_version > version:
            self.recovery_codes = []
        kept = {key: it for key, it in self.passkeys.items() if it.version <= version}
        self.passkeys = kept

    def describe_factors(self) -> dict[str, Any]:
        """Return what the service says about the factors."""
        left = len(self.recovery_codes)
        return {
            "totp": self.totp is not None,
            "passkeys": len(self.passkeys),
            "recovery_codes_left": left,
        }

    def recovery_digests(self) -> set[str]:
        texts = [code.replace("-", "") for code in self.recovery_codes]
        return {hashlib.sha256(text.encode()).hexdigest() for text in texts}

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
    logins: int = 0
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
        _require_enabled(account)
        if account.totp:
            raise errors.SecondFactorRequiredError
        return account

    def create_session(self, account: Account, session_id: str, amr: list[str]) -> Session:
        """Add a session; the least recently used ones above the maximum are evicted."""
        active = {sid: session for sid, session in account.sessions.items() if session.is_active}
        newest = sorted(active, key=lambda sid: active[sid].last_used_at, reverse=True)
        kept = newest[: session_service.MAX_SESSIONS - 1]
        account.sessions = {sid: session for sid, session in active.items() if sid in kept}
        account.sessions[session_id] = Session(amr=amr)
        account.logins += 1
        return account.sessions[session_id]

    def decode(self, token: Token, *scopes: str) -> Account:
        """Return the account of a token that has not expired."""
        if token.exp <= time.time():
            raise errors.ExpiredTokenError
        if token.scope not in scopes:
            raise errors.BadTokenError
        if token.sub not in self.accounts:
            is_of_session = token.scope in (ACCESS, REFRESH)
            raise errors.SessionEndedError if is_of_session else errors.BadTokenError
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

    def authenticate_recent(self, token: Token) -> Account:
        """Return the account of an access token whose user has just proved who they are."""
        account = self.authenticate(token)
        self.require_recent(token)
        return account

    def require_recent(self, token: Token) -> None:
        if not self.accounts[token.sub].sessions[token.sid].is_recent:
            raise errors.ReauthenticationRequiredError

    def authenticate_critical(self, token: Token) -> Account:
        """Return the account of an access token; with a second factor the login must be recent."""
        account = self.authenticate(token)
        if account.totp:
            self.require_recent(token)
        return account

    def is_valid(self, token: Token) -> bool:
        """Return whether the endpoints of its scope accept a token."""
        try:
            if token.scope in LINKS:
                return bool(self.open_link(token, token.scope))
            if token.scope == MFA:
                return _is_login(self.decode(token, MFA), token)
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
        if session_id != token.sid:
            self.require_recent(token)
        if session_id is None:
            account.revoke_sessions()
        elif account.sessions.pop(session_id, None) is None:
            raise errors.SessionNotExistsError

    def change_password(self, token: Token, current: str, password: str) -> Session:
        account = self.authenticate_critical(token)
        if current != account.password:
            raise errors.SchemaValidationError({})
        _validate_password(password)
        self._set_password(account, password)
        session = account.sessions[token.sid]
        account.sessions = {token.sid: session}
        session.advance_without_grace()
        return session

    def reset_password(self, token: Token, password: str) -> Account:
        account = self.open_link(token, PWD_RESET)
        _validate_password(password)
        self._set_password(account, password)
        account.is_verified = True
        account.sessions, account.tries = {}, {}
        return account

    def _set_password(self, account: Account, password: str) -> None:
        account.password = password
        account.change_credentials()
        self.report(mail_kinds.PASSWORD_CHANGED, account)

    def report(self, kind: str, account: Account) -> None:
        self.queued.append(Mail(kind, account.email, account.id))

    def open_link(self, token: Token, *scopes: str) -> Account:
        """Return the account of a mailed token that may still change something."""
        account = self._decode_link(token, *scopes)
        if not self._is_current(account, token):
            raise errors.UsedTokenError
        return account

    def _decode_link(self, token: Token, *scopes: str) -> Account:
        """Return the account of a mailed token; a disabled one has undo links alone."""
        account = self.decode(token, *scopes)
        if account.is_disabled and token.scope != UNDO:
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
        account = self.authenticate_critical(token)
        if current is None:
            self.require_recent(token)
        elif current != account.password:
            raise errors.SchemaValidationError({})
        if email == account.email:
            account.pending = None
            return None
        self.queued.append(Mail(mail_kinds.CONFIRM_CHANGE, email, account.id))
        return account

    def confirm_email(self, token: Token) -> Account:
        account = self._decode_link(token, CONFIRM, CHANGE)
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
            account.former[change.id] = Change(
                change.id, former_email, time.time(), account.password_version
            )
            notice = Mail(mail_kinds.EMAIL_CHANGED, former_email, account.id, change.id)
            self.queued.append(notice)
        account.email = change.email
        account.change_credentials()

    def _take(self, account: Account, email: str) -> None:
        self._forget_if_expired(email)
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
        left = {account.email, *(change.email for change in later)}
        account.email, account.password = undone.email, ""
        account.is_verified, account.confirmed_by = True, None
        account.former = {it.id: it for it in account.former.values() if it not in later}
        account.remove_factors(undone.version)
        account.change_credentials()
        account.sessions = {}
        kept = {change.email for change in account.former.values()}
        for email in left - kept:
            self._release(email, account.id)
        return account

    def _release(self, email: str, user_id: str) -> None:
        if self.reserved.get(email, ("", 0))[0] == user_id:
            del self.reserved[email]

    def forget_expired(self) -> None:
        """Forget former emails that can't be restored any more."""
        for email in list(self.reserved):
            self._forget_if_expired(email)

    def _forget_if_expired(self, email: str) -> None:
        user_id, until = self.reserved.get(email, ("", math.inf))
        if until > time.time():
            return
        del self.reserved[email]
        if account := self.accounts.get(user_id):
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
            elif account and (link := self._link_of(mail, account)) and _works(link, account):
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
        if mail.kind in REPORTS:
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

    def start_totp(self, token: Token) -> Account:
        account = self.authenticate(token)
        _require_verified(account)
        self.require_recent(token)
        if account.totp:
            raise errors.ConflictError
        return account

    def confirm_totp(self, token: Token, code: Code) -> Account:
        """Put the factor in force that is being added; every other session is revoked."""
        account = self.authenticate(token)
        _require_verified(account)
        _require_room(account)
        pending = account.pending_totp
        is_own = pending is not None and pending.session_id == token.sid
        if account.totp or not is_own or pending.created_at + PENDING_SECONDS <= time.time():
            raise errors.ConflictError
        if not code.is_of(pending.secret):
            _refuse(account, errors.SchemaValidationError({}))
        account.codes_version = account.password_version
        account.totp = Totp(pending.secret, code.step, account.password_version)
        account.sessions = {token.sid: account.sessions[token.sid]}
        account.change_credentials()
        self.report(mail_kinds.TOTP_ADDED, account)
        return account

    def remove_totp(self, token: Token) -> None:
        account = self._change_totp(token, mail_kinds.TOTP_REMOVED)
        account.totp, account.recovery_codes = None, []

    def renew_recovery_codes(self, token: Token) -> Account:
        return self._change_totp(token, mail_kinds.RECOVERY_CODES_CREATED)

    def _change_totp(self, token: Token, report: str) -> Account:
        account = self.authenticate_recent(token)
        if account.totp is None:
            raise errors.ConflictError
        account.codes_version = account.password_version
        account.change_credentials()
        self.report(report, account)
        return account

    def reset_factors(self, account: Account) -> None:
        """Do what an operator does for who has lost every factor."""
        account.remove_factors(version=-1)
        account.change_credentials()
        account.sessions = {}
        self.report(mail_kinds.TOTP_REMOVED, account)

    def log_in_by_code(self, token: Token, code: Code | None, recovery_code: str) -> Account:
        account = self.decode(token, MFA)
        _require_room(account)
        if not _is_login(account, token):
            raise errors.UsedTokenError
        if code:
            self._use_code(account, code, errors.UnauthorizedError())
        elif recovery_code in account.recovery_codes:
            account.recovery_codes.remove(recovery_code)
            self.report(mail_kinds.RECOVERY_CODE_USED, account)
        else:
            _refuse(account, errors.UnauthorizedError())
        account.logins += 1
        return account

    @staticmethod
    def _use_code(account: Account, code: Code, refusal: errors.ApiError) -> None:
        assert account.totp
        if not code.is_of(account.totp.secret) or code.step <= account.totp.step:
            _refuse(account, refusal)
        account.totp.step = code.step

    def reauthenticate(
        self,
        token: Token,
        password: str | None = None,
        code: Code | None = None,
        passkey: tuple[str, int] | None = None,
    ) -> Session:
        account = self.authenticate(token)
        session, refusal = account.sessions[token.sid], errors.SchemaValidationError({})
        if passkey:
            if self._use_passkey(*passkey) is not account:
                raise refusal
        elif code and account.totp:
            _require_room(account)
            self._use_code(account, code, refusal)
        elif code or account.totp or password != account.password:
            raise refusal
        session.amr = PASSKEY if passkey else CODE if code else PASSWORD
        session.auth_time = int(time.time())
        session.advance_without_grace()
        return session

    def start_passkey(self, token: Token) -> Account:
        account = self.authenticate(token)
        _require_verified(account)
        self.require_recent(token)
        return account

    def add_passkey(self, token: Token, is_challenge_spent: bool) -> Account:
        account = self.start_passkey(token)
        if len(account.passkeys) >= passkey_service.MAX_PASSKEYS:
            raise errors.ConflictError
        if is_challenge_spent:
            raise errors.SchemaValidationError({})
        self.report(mail_kinds.PASSKEY_ADDED, account)
        return account

    def log_in_by_passkey(self, passkey_id: str, sign_count: int) -> Account:
        account = self._use_passkey(passkey_id, sign_count)
        if account is None:
            raise errors.UnauthorizedError
        _require_enabled(account)
        return account

    def _use_passkey(self, passkey_id: str, sign_count: int) -> Account | None:
        """Return the account of a passkey that signs, unless its count does not rise."""
        owners = [it for it in self.accounts.values() if passkey_id in it.passkeys]
        if not owners:
            return None
        passkey = owners[0].passkeys[passkey_id]
        if sign_count <= passkey.sign_count and (sign_count, passkey.sign_count) != (0, 0):
            return None
        passkey.sign_count, passkey.last_used_at = sign_count, time.time()
        return owners[0]

    def rename_passkey(self, token: Token, passkey_id: str, name: str) -> None:
        account = self.authenticate(token)
        if passkey_id not in account.passkeys:
            raise errors.PasskeyNotExistsError
        account.passkeys[passkey_id].name = name

    def remove_passkey(self, token: Token, passkey_id: str) -> None:
        account = self.authenticate_recent(token)
        if account.passkeys.pop(passkey_id, None) is None:
            raise errors.PasskeyNotExistsError
        self.report(mail_kinds.PASSKEY_REMOVED, account)

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

    def create_user(self, token: Token, email: str, password: str, role: str) -> None:
        self.list_users(token)
        if role == ADMIN:
            self.require_recent(token)
        self.sign_up(email, password)

    def _get_administered(self, token: Token, user_id: str) -> Account:
        """Return an account of which something is changed that admins alone may change."""
        if self.authenticate(token).role == ADMIN:
            self.require_recent(token)
        actor, account = self.get_visible(token, user_id)
        if actor.role != ADMIN:
            raise errors.ForbiddenError
        return account

    def set_role(self, token: Token, user_id: str, role: str) -> None:
        account = self._get_administered(token, user_id)
        if role != account.role:
            self._require_another_admin(account)
            account.role = role
            account.revoke_sessions()
            self.queued.append(Mail(ROLE_NOTICES[role], account.email, account.id))

    def set_disabled(self, token: Token, user_id: str, is_disabled: bool) -> None:
        account = self._get_administered(token, user_id)
        if is_disabled and not account.is_disabled:
            self._require_another_admin(account)
            account.change_credentials()
            account.sessions = {}
        account.is_disabled = is_disabled

    def mail_reset_link(self, token: Token, user_id: str) -> None:
        actor, account = self.get_visible(token, user_id)
        if actor.role != ADMIN:
            raise errors.ForbiddenError
        if account.is_disabled:
            raise errors.ConflictError
        self.report(mail_kinds.RESET_PASSWORD, account)

    def _require_another_admin(self, account: Account) -> None:
        admins = [it for it in self.accounts.values() if it.role == ADMIN and not it.is_disabled]
        if admins == [account]:
            raise errors.LastAdminError

    def delete_user(self, token: Token, user_id: str, password: str | None) -> None:
        actor = self.authenticate(token)
        if actor.totp if actor.id == user_id else actor.role == ADMIN:
            self.require_recent(token)
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


def _works(link: Link, account: Account) -> bool:
    """Return whether an email may be sent: a disabled user has no link but an undo."""
    return not account.is_disabled or link.scope in ("", UNDO)


def _require_enabled(account: Account) -> None:
    if account.is_disabled:
        raise errors.AccountDisabledError


def _require_verified(account: Account) -> None:
    if not account.is_verified:
        raise errors.EmailNotVerifiedError


def _require_room(account: Account) -> None:
    """Require that no window has as many wrong codes as are allowed."""
    for seconds, (until, count) in account.tries.items():
        if until > time.time() and count >= MFA_LIMITS[seconds]:
            raise errors.TooManyRequestsError


def _refuse(account: Account, refusal: errors.ApiError) -> NoReturn:
    """Count a wrong code in every window, new ones where there are none any more."""
    for seconds in MFA_LIMITS:
        until, count = account.tries.get(seconds, (0, 0))
        if until <= time.time():
            until, count = time.time() + seconds, 0
        account.tries[seconds] = until, count + 1
    raise refusal


def _is_login(account: Account, token: Token) -> bool:
    """Return whether a login that waits for a code may still go on."""
    versions = account.password_version, account.logins
    return account.totp is not None and (token.pwv, token.logins) == versions


def _validate_password(password: str) -> None:
    if password == WEAK_PASSWORD:
        raise errors.SchemaValidationError({})
