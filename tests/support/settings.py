"""Settings that production accepts."""

PRODUCTION_SETTINGS = {
    "APP_ENV": "production",
    "JWT_SECRET_KEY": "k" * 32,
    "MONGODB_URI": "mongodb://db.example/movie-bag",
    "MAIL_SERVER": "mail.example",
    "PUBLIC_URL": "https://movie-bag.example",
}
