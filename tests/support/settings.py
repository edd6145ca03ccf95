"""Settings that production accepts."""

from tests.support.tokens import KEY

PRODUCTION_SETTINGS = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": KEY,
    "MONGODB_URI": "mongodb://db.example/movie-bag",
    "MAIL_SERVER": "mail.example",
    "PUBLIC_URL": "https://movie-bag.example",
}
