"""Every URL on one page."""

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Flask

from config import DEVELOPMENT
from resources import (
    api_keys,
    auth,
    book,
    demo,
    dev_mail,
    emails,
    events,
    factors,
    health,
    introspection,
    invitations,
    movie,
    openapi,
    pages,
    passkeys,
    reset_password,
    user_admin,
    users,
    well_known,
)
from web.api import Api
from web.pages import register_pages
from web.urls import PathPart

API_ROUTES = {
    "/api/auth/signup": auth.SignupApi,
    "/api/auth/login": auth.LoginApi,
    "/api/auth/refresh": auth.RefreshApi,
    "/api/auth/verify": auth.VerifyApi,
    "/api/auth/logout": auth.LogoutApi,
    "/api/auth/sessions": auth.SessionsApi,
    "/api/auth/sessions/<session_id>": auth.SessionApi,
    "/api/auth/password": auth.PasswordApi,
    "/api/auth/forgot": reset_password.ForgotPassword,
    "/api/auth/reset": reset_password.ResetPassword,
    "/api/auth/invite": invitations.AcceptInvitation,
    "/api/auth/email": emails.ChangeEmail,
    "/api/auth/email/confirm": emails.ConfirmEmail,
    "/api/auth/email/reject": emails.RejectEmail,
    "/api/auth/email/resend": emails.ResendConfirmation,
    "/api/auth/email/undo": emails.UndoChange,
    "/api/auth/reauthenticate": factors.Reauthenticate,
    "/api/auth/login/mfa": factors.LoginCode,
    "/api/auth/mfa": factors.Factors,
    "/api/auth/mfa/totp": factors.Totp,
    "/api/auth/mfa/totp/confirm": factors.ConfirmTotp,
    "/api/auth/mfa/recovery-codes": factors.RecoveryCodes,
    "/api/auth/login/passkey": passkeys.LoginPasskey,
    "/api/auth/login/passkey/options": passkeys.LoginPasskeyOptions,
    "/api/auth/passkeys": passkeys.Passkeys,
    "/api/auth/passkeys/options": passkeys.PasskeyOptions,
    "/api/auth/passkeys/<passkey_id>": passkeys.PasskeyApi,
    "/api/movies": movie.MoviesApi,
    "/api/movies/<movie_id>": movie.MovieApi,
    "/api/users/me": users.MeApi,
    "/api/users/me/export": users.MyExport,
    "/api/users": users.UsersApi,
    "/api/users/<user_id>": users.UserApi,
    "/api/users/<user_id>/sessions": user_admin.UserSessions,
    "/api/users/<user_id>/reset": user_admin.UserReset,
    "/api/users/me/events": events.MyEvents,
    "/api/events": events.Events,
    "/api/keys": api_keys.ApiKeys,
    "/api/keys/<key_id>": api_keys.ApiKey,
    "/api/auth/introspect": introspection.Introspect,
    "/.well-known/jwks.json": well_known.Jwks,
    "/.well-known/oauth-authorization-server": well_known.AuthorizationServer,
    "/api/openapi.json": openapi.OpenApiDocument,
    "/healthz": health.Health,
    "/readyz": health.Readiness,
}
PAGE_ROUTES = {
    "/": pages.Welcome,
    "/api/docs": pages.Docs,
    "/reset/<token>": pages.ResetPage,
    "/confirm/<token>": pages.ConfirmPage,
    "/confirm/<token>/reject": pages.RejectPage,
    "/undo/<token>": pages.UndoPage,
    "/invite/<token>": pages.InvitePage,
}
DEVELOPMENT_ROUTES = {
    "/book": book.Book,
    "/book/": book.Book,
    "/book/<path:path>": book.Book,
    "/demo": demo.Demo,
    "/demo/": demo.Demo,
    "/demo/<path:path>": demo.Demo,
    "/dev/mail": dev_mail.SentMails,
    "/dev/mail/preview": dev_mail.MailPreviews,
    "/dev/mail/preview/<kind>": dev_mail.MailPreviewPage,
    "/dev/mail/<mail_id>": dev_mail.SentMailPage,
}


def initialize_routes(app: Flask) -> None:
    """Register every resource and page."""
    app.url_map.merge_slashes = False  # its redirects would go to the request's Host
    app.url_map.converters["default"] = PathPart
    api = Api(app)
    for url, resource in API_ROUTES.items():
        api.add_resource(resource, url)
    register_pages(app, "pages", PAGE_ROUTES)
    if app.config["APP_ENV"] == DEVELOPMENT:
        register_pages(app, "development", DEVELOPMENT_ROUTES)
    swagger = Path(flask_swagger_ui.__file__).parent / "dist"
    app.register_blueprint(
        Blueprint("swagger", __name__, static_folder=swagger, static_url_path="/static/swagger")
    )
