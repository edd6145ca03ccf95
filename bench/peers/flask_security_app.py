"""Flask-Security with its mongoengine datastore, as documented, and a list of movies."""

import os

import mongoengine as db
from flask import Flask, jsonify
from flask_mailman import Mail
from flask_security import (
    MongoEngineUserDatastore,
    RoleMixin,
    Security,
    UserMixin,
    auth_required,
    current_user,
    uia_email_mapper,
)

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["JWT_SECRET_KEY"],
    SECURITY_PASSWORD_SALT=os.environ["JWT_SECRET_KEY"],
    SECURITY_PASSWORD_HASH="bcrypt",
    SECURITY_PASSWORD_SCHEMES=["bcrypt"],
    SECURITY_PASSWORD_HASH_OPTIONS={"bcrypt": {"rounds": 12}},
    SECURITY_RECOVERABLE=True,
    SECURITY_REGISTERABLE=True,
    SECURITY_SEND_REGISTER_EMAIL=False,
    SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
    WTF_CSRF_ENABLED=False,
    # Emails are compared as written: the embedded database has no comparison that ignores case.
    SECURITY_USER_IDENTITY_ATTRIBUTES=[{"email": {"mapper": uia_email_mapper}}],
    MAIL_BACKEND="smtp",
    MAIL_SERVER="127.0.0.1",
    MAIL_PORT=int(os.environ["MAIL_PORT"]),
)
connection = db.connect(host=os.environ["MONGODB_URI"], connect=False)


class Role(db.Document, RoleMixin):
    """What a user may do."""

    name = db.StringField(unique=True)
    permissions = db.ListField(db.StringField())


class User(db.Document, UserMixin):
    """A user, as Flask-Security requires it."""

    meta = {"collection": "security_user"}

    email = db.StringField(unique=True)
    password = db.StringField()
    active = db.BooleanField(default=True)
    fs_uniquifier = db.StringField(unique=True)
    roles = db.ListField(db.ReferenceField(Role))


class Movie(db.Document):
    """A movie of the product."""

    meta = {"strict": False, "auto_create_index": False}

    name = db.StringField()
    casts = db.ListField(db.StringField())
    genres = db.ListField(db.StringField())
    added_by = db.StringField()


Mail(app)
Security(app, MongoEngineUserDatastore(connection, User, Role))


@app.get("/me")
@auth_required("token")
def me():
    """Return the user of a token."""
    return jsonify(id=str(current_user.id), email=current_user.email)


@app.get("/movies")
def movies():
    """List movies by name."""
    return jsonify(
        [
            {"id": str(movie.id), "name": movie.name, "casts": movie.casts, "genres": movie.genres}
            for movie in Movie.objects.order_by("name").limit(20)
        ]
    )
