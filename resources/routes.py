"""Every URL on one page."""

from pathlib import Path
from typing import Any

import flask_restful
import flask_swagger_ui
from flask import Blueprint, Flask, Response

from config import DEVELOPMENT
from resources.auth import (
    LoginApi,
    LogoutApi,
    PasswordApi,
    RefreshApi,
    SessionApi,
    SessionsApi,
    SignupApi,
    VerifyApi,
)
from resources.dev_mail import SentMailPage, SentMails, require_localhost
from resources.health import Health, Readiness
from resources.movie import MovieApi, MoviesApi
from resources.openapi import OpenApiDocument
from resources.pages import Docs, ResetPage, Welcome
from resources.reset_password import ForgotPassword, ResetPassword
from resources.users import MeApi, UserApi, UsersApi
from web.json_response import json_response
from web.pages import register_pages

API_ROUTES = {
    "/api/auth/signup": SignupApi,
    "/api/auth/login": LoginApi,
    "/api/auth/refresh": RefreshApi,
    "/api/auth/verify": VerifyApi,
    "/api/auth/logout": LogoutApi,
    "/api/auth/sessions": SessionsApi,
    "/api/auth/sessions/<session_id>": SessionApi,
    "/api/auth/password": PasswordApi,
    "/api/auth/forgot": ForgotPassword,
    "/api/auth/reset": ResetPassword,
    "/api/movies": MoviesApi,
    "/api/movies/<movie_id>": MovieApi,
    "/api/users/me": MeApi,
    "/api/users": UsersApi,
    "/api/users/<user_id>": UserApi,
    "/api/openapi.json": OpenApiDocument,
    "/healthz": Health,
    "/readyz": Readiness,
}
PAGE_ROUTES = {
    "/": Welcome,
    "/api/docs": Docs,
    "/reset/<token>": ResetPage,
}
DEVELOPMENT_ROUTES = {
    "/dev/mail": SentMails,
    "/dev/mail/<mail_id>": SentMailPage,
}


class Api(flask_restful.Api):
    """Flask-RESTful without its own error handling and content negotiation.

    web.errors handles errors; every response is JSON, whatever Accept says.
    """

    def error_router(self, original_handler: Any, e: Exception) -> Any:
        """Leave the error to Flask."""
        return original_handler(e)

    def make_response(self, data: Any, status: int, headers: Any = None, **_: Any) -> Response:
        """Return data as JSON."""
        return json_response(data, status, headers)


def initialize_routes(app: Flask) -> None:
    """Register every resource and page."""
    app.url_map.merge_slashes = False  # its redirects would repeat the Host of the request
    api = Api(app)
    for url, resource in API_ROUTES.items():
        api.add_resource(resource, url)
    register_pages(app, _blueprint("pages", PAGE_ROUTES))
    if app.config["APP_ENV"] == DEVELOPMENT:
        development = _blueprint("development", DEVELOPMENT_ROUTES)
        development.before_request(require_localhost)
        register_pages(app, development)
    swagger = Path(flask_swagger_ui.__file__).parent / "dist"
    app.register_blueprint(
        Blueprint("swagger", __name__, static_folder=swagger, static_url_path="/static/swagger")
    )


def _blueprint(name: str, routes: dict[str, Any]) -> Blueprint:
    blueprint = Blueprint(name, __name__)
    for url, view in routes.items():
        blueprint.add_url_rule(url, view_func=view.as_view(view.__name__))
    return blueprint
