"""Settings that production accepts, and the defaults of all."""

import hashlib

from config import SettingsSchema
from tests.support.tokens import KEY

# Of the tests' application.
SECRETS_KEY = hashlib.sha256(b"a key of stored secrets").hexdigest()
DEFAULTS = {name: field.load_default for name, field in SettingsSchema().fields.items()}

PRODUCTION_SETTINGS = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": KEY,
    "MONGODB_URI": "mongodb://db.example/movie-bag",
    "MAIL_SERVER": "mail.example",
    "PUBLIC_URL": "https://movie-bag.example",
}
