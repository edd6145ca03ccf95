"""Visitors of a server: in each round, one does what users, admins and other services do."""

import itertools
import threading
import traceback
from collections import Counter
from email.message import EmailMessage
from typing import Any

import requests

from tests.support.client import ADA, NEW_PASSWORD, ApiClient
from tests.support.concurrency import wait_until
from tests.support.email_client import confirm
from tests.support.factor_client import begin_login, code_of, enrol, finish_login
from tests.support.operators import accept
from tests.support.passkeys import add_passkey, log_in
from tests.support.smtp_server import Mailbox, token_in

MOVIE = {"casts": ["Ada"], "genres": ["Drama"]}
USER_AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
    "curl/8.5.0",
]
PAGES = ["/", "/api/docs", "/api/openapi.json", "/.well-known/jwks.json", "/readyz", "/healthz"]
STATIC = ["/static/swagger/swagger-ui-bundle.js", "/static/style.css"]


class LoadEnded(Exception):
    """The visitors are to send nothing from now on."""


class RemoteClient(ApiClient):
    """A client of a server that runs elsewhere; it counts the statuses and pauses each time."""

    def __init__(self, url: str, pause: float) -> None:
        self.url = url
        self.statuses: Counter[int] = Counter()
        self.ended = threading.Event()
        self._session, self._pause = requests.Session(), pause

    def become(self, **headers: str) -> None:
        """Send these headers from now on, as another browser."""
        self._session.close()
        self._session.headers.update({name.replace("_", "-"): it for name, it in headers.items()})

    def request(
        self, method: str, url: str, *, token: str | None = None, **options: Any
    ) -> requests.Response:
        """Send a request after a pause; raises LoadEnded."""
        if self.ended.wait(self._pause):
            raise LoadEnded
        if token is not None:
            options["headers"] = {"Authorization": f"Bearer {token}"}
        response = self._session.request(method, self.url + url, timeout=60, **options)
        self.statuses[response.status_code] += 1
        return response


class Visitor(threading.Thread):
    """Uses everything, in rounds, as another user each time; `error` is what went wrong."""

    def __init__(self, url: str, mailbox: Mailbox, locale: str, pause: float) -> None:
        super().__init__(name=locale, daemon=True)
        self.api, self.mailbox, self.locale = RemoteClient(url, pause), mailbox, locale
        self.admin = {"email": f"root-{locale}@example.com", "password": ADA["password"]}
        self.rounds, self.error = 0, ""

    def run(self) -> None:
        """Repeat the round until the load has ended."""
        try:
            for number in itertools.count():
                self._begin(number)
                for part in (self.browse, self.register, self.edit_movies, self.forget_password):
                    part()
                for part in (self.use_totp, self.use_passkey, self.administer, self.err):
                    part()
                self._leave()
        except LoadEnded:
            pass
        except Exception:
            self.error = traceback.format_exc()

    def _begin(self, number: int) -> None:
        self.user = {"email": f"{self.locale}-{number}@example.com", "password": ADA["password"]}
        ip = f"10.{ord(self.locale[0])}.{number // 250}.{number % 250 + 1}"
        agent = USER_AGENTS[number % len(USER_AGENTS)]
        self.api.become(User_Agent=agent, Accept_Language=self.locale, X_Forwarded_For=ip)

    def mail(self) -> EmailMessage:
        """Wait for an email to the user, and take all to the user out of the mailbox."""
        email = self.user["email"]
        found = wait_until(lambda: self.mailbox.to(email))
        self.mailbox.remove_to(email)
        mail: EmailMessage = found[-1]
        return mail

    def log_in(self) -> None:
        """Log in by password; it counts as a recent proof of who the user is."""
        self.pair = self.api.log_in(**self.user).json()
        self.token = self.pair["token"]

    def browse(self) -> None:
        """Open pages, and lists that everybody may read."""
        for path in (*PAGES, *STATIC, "/api/movies?limit=20", "/api/movies?q=film"):
            assert self.api.get(path).status_code == 200, path

    def register(self) -> None:
        """Sign up, confirm the email, and use a session."""
        assert self.api.sign_up(**self.user).status_code == 200
        token = token_in(self.mail())
        assert self.api.get(f"/confirm/{token}").status_code == 200
        assert confirm(self.api, token).status_code == 200
        self.log_in()
        refreshed = self.api.refresh(self.pair["refresh_token"]).json()
        self.token = refreshed["token"]
        assert self.api.verify(self.token).status_code == 200
        for path in ("users/me", "users/me/events", "users/me/export", "auth/sessions"):
            assert self.api.get(f"/api/{path}", token=self.token).status_code == 200
        self.api.patch("/api/users/me", token=self.token, json={"name": "Ada"})

    def edit_movies(self) -> None:
        """Add, read, change and delete a movie."""
        movie = {"name": f"Film of {self.user['email']}", **MOVIE}
        added = self.api.post("/api/movies", token=self.token, json=movie).json()
        path = f"/api/movies/{added['id']}"
        assert self.api.get(path).status_code == 200
        assert self.api.put(path, token=self.token, json=movie).status_code == 200
        assert self.api.delete(path, token=self.token).status_code == 200
        assert self.api.get(path).status_code == 404

    def forget_password(self) -> None:
        """Reset the password by the page that the email links to."""
        self.api.log_out(self.token)
        self.api.forgot(self.user["email"])
        path = f"/reset/{token_in(self.mail())}"
        assert self.api.get(path).status_code == 200
        self.user["password"] = NEW_PASSWORD
        fields = {"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD}
        assert self.api.post(path, data=fields).status_code == 200
        assert self.api.get(path).status_code == 401
        self.log_in()

    def use_totp(self) -> None:
        """Add a second factor, log in with it, and remove it."""
        factor = enrol(self.api, self.pair)
        mfa_token = begin_login(self.api, **self.user)
        wrong = finish_login(self.api, mfa_token, code="000000")
        assert wrong.status_code == 401
        code = code_of(factor.secret, 1)
        self.token = finish_login(self.api, mfa_token, code=code).json()["token"]
        assert self.api.delete("/api/auth/mfa/totp", token=self.token).status_code == 200

    def use_passkey(self) -> None:
        """Add a passkey, log in with it, and list what there is."""
        passkey = add_passkey(self.api, self.token)
        self.token = log_in(self.api, passkey).json()["token"]
        assert self.api.get("/api/auth/passkeys", token=self.token).status_code == 200

    def administer(self) -> None:
        """Look at lists as an admin, invite a user, and let a service introspect the token."""
        admin = self.api.log_in(**self.admin).json()["token"]
        for path in ("users?limit=20", "events?limit=20", "keys"):
            assert self.api.get(f"/api/{path}", token=admin).status_code == 200
        guest = {"email": f"guest-{self.user['email']}"}
        invited = self.api.post("/api/users", token=admin, json=guest).json()
        mail = wait_until(lambda: self.mailbox.to(guest["email"]))[0]
        self.mailbox.remove_to(guest["email"])
        assert accept(self.api, token_in(mail)).status_code == 200
        self.api.delete(f"/api/users/{invited['id']}", token=admin)
        self._introspect(admin)
        self.api.log_out(admin)

    def _introspect(self, admin: str) -> None:
        about = {"name": "Billing", "scopes": ["introspect"]}
        key = self.api.post("/api/keys", token=admin, json=about).json()
        asked = {"token": self.token}
        response = self.api.post("/api/auth/introspect", token=key["key"], data=asked)
        assert response.json()["active"]
        self.api.delete(f"/api/keys/{key['id']}", token=admin)

    def err(self) -> None:
        """Send what is refused."""
        for _ in range(6):
            response = self.api.log_in(email=f"no-{self.user['email']}")
        assert response.status_code == 429
        assert self.api.post("/api/auth/signup", json={"mail": "x"}).status_code == 400
        assert self.api.post("/api/movies", token=self.token, json=[]).status_code == 400
        assert self.api.verify("x.y.z").status_code == 401
        assert self.api.get("/nowhere").status_code == 404
        assert self.api.put("/api/auth/login").status_code == 405
        assert self.api.post("/api/auth/login", data=b"<xml/>").status_code == 415

    def _leave(self) -> None:
        """Delete the account, so that the database stays as small as it is."""
        body = {"current_password": self.user["password"]}
        response = self.api.delete("/api/users/me", token=self.token, json=body)
        assert response.status_code == 200, response.text
        self.mailbox.remove_to(self.user["email"])
        self.rounds += 1
