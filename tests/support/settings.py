"""Settings that production accepts, and the defaults of all."""

from config import SettingsSchema
from tests.support.tokens import KEY

DEFAULTS = {name: field.load_default for name, field in SettingsSchema().fields.items()}

PRODUCTION_SETTINGS = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": KEY,
    "MONGODB_URI": "mongodb://db.example/movie-bag",
    "MAIL_SERVER": "mail.example",
    "PUBLIC_URL": "https://movie-bag.example",
}
