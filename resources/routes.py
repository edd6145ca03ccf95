"""Every URL, on one page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_restful
import flask_swagger_ui
from flask import Blueprint, Flask, Response

from config import DEVELOPMENT
from resources.auth import (
    Login,
    Logout,
    OneSession,
    Password,
    Refresh,
    Sessions,
    Signup,
    Verify,
)
from resources.dev_mail import Inbox, InboxMail, only_here
from resources.health import Health, Readiness
from resources.movie import Movies, OneMovie
from resources.openapi import OpenApi
from resources.pages import Docs, ResetPage, Welcome, register_pages
from resources.representation import as_json
from resources.reset_password import ForgotPassword, ResetPassword
from resources.users import Me, OneUser, Users


class Api(flask_restful.Api):
    """Flask-RESTful without its own error handling and its choice of a representation.

    Errors are answered by resources.errors; JSON is what there is, whatever Accept says.
    """

    def error_router(self, original_handler: Callable[..., Any], e: Exception) -> Any:
        """Leave the error to Flask."""
        return original_handler(e)

    def make_response(self, data: Any, status: int, headers: Any = None, **_: Any) -> Response:
        """Return data in JSON."""
        return as_json(data, status, headers)


def initialize_routes(app: Flask) -> None:
    """Register every resource and page."""
    app.url_map.merge_slashes = False  # its redirects would repeat the request's Host
    api = Api(app)
    api.add_resource(Signup, "/api/auth/signup")
    api.add_resource(Login, "/api/auth/login")
    api.add_resource(Refresh, "/api/auth/refresh")
    api.add_resource(Verify, "/api/auth/verify")
    api.add_resource(Logout, "/api/auth/logout")
    api.add_resource(Sessions, "/api/auth/sessions")
    api.add_resource(OneSession, "/api/auth/sessions/<session_id>")
    api.add_resource(Password, "/api/auth/password")
    api.add_resource(ForgotPassword, "/api/auth/forgot")
    api.add_resource(ResetPassword, "/api/auth/reset")
    api.add_resource(Movies, "/api/movies")
    api.add_resource(OneMovie, "/api/movies/<movie_id>")
    api.add_resource(Me, "/api/users/me")
    api.add_resource(Users, "/api/users")
    api.add_resource(OneUser, "/api/users/<user_id>")
    api.add_resource(OpenApi, "/api/openapi.json")
    api.add_resource(Health, "/healthz")
    api.add_resource(Readiness, "/readyz")

    pages = Blueprint("pages", __name__)
    pages.add_url_rule("/", view_func=Welcome.as_view("welcome"))
    pages.add_url_rule("/api/docs", view_func=Docs.as_view("docs"))
    pages.add_url_rule("/reset/<token>", view_func=ResetPage.as_view("reset"))
    register_pages(app, pages)
    if app.config["APP_ENV"] == DEVELOPMENT:
        dev = Blueprint("dev", __name__)
        dev.add_url_rule("/dev/mail", view_func=Inbox.as_view("inbox"))
        dev.add_url_rule("/dev/mail/<mail_id>", view_func=InboxMail.as_view("mail"))
        dev.before_request(only_here)
        register_pages(app, dev)

    swagger = Path(flask_swagger_ui.__file__).parent / "dist"
    app.register_blueprint(
        Blueprint("swagger", __name__, static_folder=swagger, static_url_path="/static/swagger")
    )
