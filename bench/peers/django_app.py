"""Django with djoser and simplejwt on PostgreSQL, as documented, and a list of movies."""

import json
import os
from datetime import timedelta
from pathlib import Path

import django
from django.conf import settings
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import include, path

# What startproject and the quickstarts of the three write, and the persistent connections
# of Django's deployment checklist.
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    AUTH_PASSWORD_VALIDATORS=[
        {"NAME": f"django.contrib.auth.password_validation.{name}"}
        for name in (
            "UserAttributeSimilarityValidator",
            "MinimumLengthValidator",
            "CommonPasswordValidator",
            "NumericPasswordValidator",
        )
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": os.environ["POSTGRES_PORT"],
            "NAME": "postgres",
            "USER": "postgres",
            "CONN_MAX_AGE": 60,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DJOSER={"PASSWORD_RESET_CONFIRM_URL": "reset/{uid}/{token}"},
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=os.environ["MAIL_PORT"],
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "rest_framework",
        "djoser",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    PASSWORD_HASHERS=["django_app.Hasher"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ]
    },
    ROOT_URLCONF="django_app",
    SECRET_KEY=os.environ["JWT_SECRET_KEY"],
    SIMPLE_JWT={"ACCESS_TOKEN_LIFETIME": timedelta(seconds=int(os.environ["TOKEN_SECONDS"]))},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
        }
    ],
)
django.setup()

from rest_framework import generics, pagination, serializers  # noqa: E402  # need the settings


class Hasher(BCryptSHA256PasswordHasher):
    """Django's own bcrypt; 12 rounds are its default too."""

    rounds = 12


class Movie(models.Model):
    """A movie, as the product has it."""

    name = models.CharField(max_length=200, db_index=True)
    casts = models.JSONField()
    genres = models.JSONField()
    added_by = models.CharField(max_length=24)

    class Meta:
        """Belong to no app: fill creates the table."""

        app_label = "movies"


class MovieSerializer(serializers.ModelSerializer):
    """A movie as JSON."""

    class Meta:
        """All its fields."""

        model = Movie
        fields = "__all__"


class Pages(pagination.CursorPagination):
    """Pages by name, that count no movies, as those of the product."""

    page_size = 20
    ordering = "name"


class Movies(generics.ListAPIView):
    """List movies by name."""

    queryset = Movie.objects.all()
    serializer_class = MovieSerializer
    pagination_class = Pages


urlpatterns = [
    path("auth/", include("djoser.urls")),
    path("auth/", include("djoser.urls.jwt")),
    path("movies", Movies.as_view()),
]
app = get_wsgi_application()


def fill(movies: str) -> None:
    """Create the tables, and insert the movies of a file with a line of JSON for each."""
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Movie)
    lines = Path(movies).read_text().splitlines()
    rows = ({**json.loads(line), "id": None} for line in lines)
    Movie.objects.bulk_create([Movie(**row) for row in rows], batch_size=1000)
