"""Another service: it protects two routes with the access tokens of Movie-bag."""

import os
from typing import Any, NoReturn

import jwt
import requests
from flask import Flask, abort, make_response, request
from werkzeug.exceptions import HTTPException

# The PUBLIC_URL of Movie-bag, to the letter: tokens name it.
ISSUER = os.environ["MOVIE_BAG_URL"]
AUDIENCE = os.environ.get("JWT_AUDIENCE", ISSUER)
API_KEY = os.environ["MOVIE_BAG_API_KEY"]
TIMEOUT_SECONDS = 3
# What we accept is decided here, never by a token.
ALGORITHMS = ["ES256", "EdDSA"]
REQUIRED = ["exp", "iat", "sub", "client_id"]

app = Flask(__name__)
# It keeps the keys for 300 s, and reads them earlier, once in 30 s, for a key that it doesn't know.
public_keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", timeout=TIMEOUT_SECONDS)


@app.get("/reviews")
def list_reviews() -> dict[str, Any]:
    """Return the reviews of a user. A token is enough until it expires, also after a logout."""
    return {"user": verify(bearer_token())["sub"], "reviews": []}


@app.post("/payments")
def pay() -> dict[str, Any]:
    """Pay for a user. A logout, a reset or a disabled account counts at once."""
    return {"user": introspect(bearer_token())["sub"], "paid": True}


def verify(token: str) -> dict[str, Any]:
    """Return the claims of an access token, by the public keys: without a request per token."""
    try:
        key = public_keys.get_signing_key_from_jwt(token)
        found = jwt.decode_complete(
            token, key, ALGORITHMS, {"require": REQUIRED}, audience=AUDIENCE, issuer=ISSUER
        )
    except jwt.PyJWKClientConnectionError:
        refuse(503, "ServiceUnavailableError", "Logins can't be checked, try again in a moment")
    except jwt.ExpiredSignatureError:
        refuse(401, "ExpiredTokenError", "Token has expired")
    except jwt.PyJWTError:
        refuse(401, "BadTokenError", "Invalid token")
    if found["header"].get("typ") != "at+jwt":  # another kind of JWT with the same keys
        refuse(401, "BadTokenError", "Invalid token")
    return dict(found["payload"])


def introspect(token: str) -> dict[str, Any]:
    """Return what Movie-bag says of an access token now: a request per token."""
    url, headers = f"{ISSUER}/api/auth/introspect", {"Authorization": f"Bearer {API_KEY}"}
    try:
        sent = requests.post(url, {"token": token}, headers=headers, timeout=TIMEOUT_SECONDS)
        sent.raise_for_status()
    except requests.RequestException as error:  # a wrong API key too: that is our fault
        app.logger.error("introspection: %s", type(error).__name__)
        refuse(503, "ServiceUnavailableError", "Logins can't be checked, try again in a moment")
    found: dict[str, Any] = sent.json()
    # Whether it has expired or its session has ended: the client learns that from a refresh.
    if not found["active"] or found["aud"] != AUDIENCE:
        refuse(401, "ExpiredTokenError", "Token has expired")
    return found


def bearer_token() -> str:
    """Return the token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        refuse(401, "MissingTokenError", "Missing or invalid authorization header")
    return token


def refuse(status: int, error: str, message: str) -> NoReturn:
    """End the request with an error as Movie-bag has them, so that clients need one rule."""
    challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    body = {"message": message, "status": status, "error": error}
    abort(make_response(body, status, challenge))


@app.errorhandler(HTTPException)
def handle(error: HTTPException) -> tuple[dict[str, Any], int]:
    """Give every other error the same shape."""
    status = error.code or 500
    return {"message": error.description, "status": status, "error": type(error).__name__}, status
