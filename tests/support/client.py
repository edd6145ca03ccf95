"""The JSON client of the API tests."""

import threading
from typing import Any

import requests
import waitress

from tests.support import openapi_check

ADA = {"email": "ada@example.com", "password": "correct horse battery"}
EVE = {"email": "eve@example.com", "password": "apple horse battery"}
NEW_PASSWORD = "staple horse correct"


class ApiClient:
    """A client of the application that is being served; every response is checked."""

    def __init__(self) -> None:
        self.app: Any = None
        self.server = waitress.create_server(
            self._serve, port=0, threads=32, clear_untrusted_proxy_headers=False
        )
        self.port = self.server.effective_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.run, daemon=True).start()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.app(environ, start_response)

    def request(
        self, method: str, url: str, *, token: str | None = None, **options: Any
    ) -> requests.Response:
        """Send a request, with a bearer token if one is given."""
        if token is not None:
            options["headers"] = {"Authorization": f"Bearer {token}"} | options.get("headers", {})
        response = requests.request(method, self.url + url, timeout=60, **options)
        openapi_check.assert_described(self.app, response)
        return response

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> requests.Response:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> requests.Response:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        return self.request("DELETE", url, **options)

    def sign_up(self, **fields: str) -> requests.Response:
        return self.post("/api/auth/signup", json=ADA | fields)

    def log_in(self, **fields: str) -> requests.Response:
        return self.post("/api/auth/login", json=ADA | fields)

    def refresh(self, token: str, **headers: str) -> requests.Response:
        return self.post("/api/auth/refresh", token=token, headers=headers)

    def refresh_as(self, user_agent: str, token: str) -> requests.Response:
        return self.refresh(token, **{"User-Agent": user_agent})

    def verify(self, token: str) -> requests.Response:
        return self.get("/api/auth/verify", token=token)

    def log_out(self, token: str) -> requests.Response:
        return self.delete("/api/auth/logout", token=token)

    def forgot(self, email: str = ADA["email"]) -> requests.Response:
        return self.post("/api/auth/forgot", json={"email": email})

    def reset(self, token: str, password: str = NEW_PASSWORD) -> requests.Response:
        return self.post("/api/auth/reset", json={"reset_token": token, "password": password})
