"""The bounds: Flask views that do the work itself and nothing else; they check no request."""

import itertools
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pymongo
from bson import ObjectId
from flask import Flask, Response

KEY = os.environ["JWT_SECRET_KEY"]
# Pairs of the ids of a user and one of the user's sessions.
IDS = [pair.split(":") for pair in os.environ["SESSIONS"].split(",")]
NEXT_USER = itertools.cycle(({"_id": ObjectId(it)}, f"sessions.{sid}") for it, sid in IDS)
LIST = Path(os.environ["LIST"]).read_bytes()

app = Flask(__name__)
client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
    os.environ["MONGODB_URI"], connect=False
)
database = client.get_default_database()


@app.get("/one")
def find_user() -> dict[str, Any]:
    """Find of a user what an access token is compared with."""
    user_id, session = next(NEXT_USER)
    user = database.user.find_one(user_id, ("email", "disabled_at", session)) or {}
    return {"id": str(user["_id"]), "email": user["email"]}


@app.get("/whole")
def find_whole_user() -> dict[str, Any]:
    """Find a user by id, with all sessions."""
    user_id, _ = next(NEXT_USER)
    user = database.user.find_one(user_id) or {}
    return {"id": str(user["_id"]), "email": user["email"]}


@app.get("/list")
def list_movies() -> Response:
    """Find what the list of movies finds, and return the same bytes."""
    list(database.movie.find({}).sort("name", 1).limit(21))
    return Response(LIST, mimetype="application/json")


@app.post("/refresh")
def refresh() -> dict[str, str]:
    """Change a user's document, and sign two tokens."""
    user_id, _ = next(NEXT_USER)
    database.user.find_one_and_update(user_id, {"$inc": {"bare": 1}}, {"_id": 1})
    claims = {"sub": str(user_id["_id"]), "exp": int(time.time()) + 900}
    return {name: jwt.encode(claims, KEY, "HS256") for name in ("token", "refresh_token")}


@app.post("/forgot")
def forgot() -> dict[str, str]:
    """Insert a small document."""
    now = time.time()
    database.bare.insert_one({"kind": "reset", "email": "a@example.com", "run_at": now})
    return {"message": "If an account exists for that address, a reset link is on its way"}
