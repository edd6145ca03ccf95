"""The limits: Flask views that do the work itself and no more; they check nothing of a request."""

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
USERS = itertools.cycle({"_id": ObjectId(each)} for each in os.environ["USER_IDS"].split(","))
LIST = Path(os.environ["LIST"]).read_bytes()

app = Flask(__name__)
database: Any = pymongo.MongoClient(os.environ["MONGODB_URI"], connect=False)
database = database.get_default_database()


@app.get("/one")
def one() -> dict[str, Any]:
    """Find a user by id."""
    user = database.user.find_one(next(USERS))
    return {"id": str(user["_id"]), "email": user["email"]}


@app.get("/list")
def page() -> Response:
    """Find as the list of movies does, and answer the same bytes."""
    list(database.movie.find({}).sort("key", 1).limit(21))
    return Response(LIST, mimetype="application/json")


@app.post("/refresh")
def refresh() -> dict[str, str]:
    """Change a user's document, and sign two tokens."""
    user = database.user.find_one_and_update(next(USERS), {"$inc": {"bare": 1}}, {"_id": 1})
    claims = {"sub": str(user["_id"]), "exp": int(time.time()) + 900}
    return {name: jwt.encode(claims, KEY, "HS256") for name in ("token", "refresh_token")}


@app.post("/forgot")
def forgot() -> dict[str, str]:
    """Insert a small document."""
    now = time.time()
    database.bare.insert_one({"kind": "reset", "email": "a@example.com", "due_at": now})
    return {"message": "If an account exists for that address, a reset link is on its way"}
