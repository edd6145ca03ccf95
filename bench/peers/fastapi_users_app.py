"""fastapi-users with Beanie, as documented, and a list of movies."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import aiosmtplib
from beanie import Document, PydanticObjectId, init_beanie
from fastapi import FastAPI, Request
from fastapi_users import BaseUserManager, FastAPIUsers, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.password import PasswordHelper
from fastapi_users_db_beanie import BeanieBaseUser, BeanieUserDatabase, ObjectIDIDMixin
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from pymongo import AsyncMongoClient

SECRET = os.environ["JWT_SECRET_KEY"]


class User(BeanieBaseUser, Document):
    """A user, as Beanie stores it."""

    class Settings(BeanieBaseUser.Settings):
        """Use another collection than the product."""

        name = "beanie_user"


class Movie(Document):
    """A movie of the product."""

    name: str
    casts: list[str]
    genres: list[str]
    added_by: str

    class Settings:
        """Use the collection of the product."""

        name = "movie"


class Manager(ObjectIDIDMixin, BaseUserManager[User, PydanticObjectId]):
    """The rules about users."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET

    async def on_after_forgot_password(
        self, user: User, token: str, request: Request | None = None
    ) -> None:
        """Send the link."""
        message = EmailMessage()
        message["From"], message["To"] = "support@movie-bag.com", user.email
        message["Subject"] = "Reset your password"
        message.set_content(f"https://movie-bag.example/reset/{token}")
        await aiosmtplib.send(message, hostname="127.0.0.1", port=int(os.environ["MAIL_PORT"]))


async def manager() -> AsyncIterator[Manager]:
    """Yield the manager; it hashes as the product does, with bcrypt of 12 rounds."""
    helper = PasswordHelper(PasswordHash((BcryptHasher(rounds=12),)))
    yield Manager(BeanieUserDatabase(User), helper)


bearer = AuthenticationBackend(
    name="jwt",
    transport=BearerTransport(tokenUrl="login"),
    get_strategy=lambda: JWTStrategy(
        secret=SECRET, lifetime_seconds=int(os.environ["TOKEN_SECONDS"])
    ),
)
Read = schemas.BaseUser[PydanticObjectId]
users = FastAPIUsers[User, PydanticObjectId](manager, [bearer])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect."""
    client = AsyncMongoClient(os.environ["MONGODB_URI"])
    await init_beanie(client.get_default_database(), document_models=[User, Movie])
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(users.get_auth_router(bearer))
app.include_router(users.get_register_router(Read, schemas.BaseUserCreate))
app.include_router(users.get_reset_password_router())
app.include_router(users.get_users_router(Read, schemas.BaseUserUpdate), prefix="/users")


@app.get("/movies")
async def movies(limit: int = 20) -> list[Movie]:
    """List movies by name."""
    return await Movie.find().sort("name").limit(limit).to_list()
