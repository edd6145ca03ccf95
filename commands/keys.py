"""`flask keys`: the private keys that sign access tokens."""

import os
from collections.abc import Callable
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from flask import current_app
from flask.cli import with_appcontext

from private_keys import TokenKey, to_pem, token_key
from services.token_keys import PUBLISHED_SECONDS

GENERATE: dict[str, Callable[[], PrivateKeyTypes]] = {
    "ES256": lambda: generate_private_key(SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate,
}
STEPS = """\
Wrote {path}. Set JWT_PRIVATE_KEYS on every machine, and restart it, in this order:

1. Publish the new key. Then wait {published} seconds, until no service has an older list.
   JWT_PRIVATE_KEYS={publish}
2. Sign with it. Then wait {valid} seconds, until no token of the former key is valid.
   JWT_PRIVATE_KEYS={sign}
3. Retire the former key.
   JWT_PRIVATE_KEYS={retire}"""
FIRST = """\
Wrote {path}. There was no private key, so there is one step, on every machine within a minute:

   JWT_PRIVATE_KEYS={path}

Access tokens of before are refused then; clients refresh, and get the next pair."""


@click.group()
def keys() -> None:
    """Manage the private keys that sign access tokens."""


@keys.command("rotate")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--algorithm", type=click.Choice([*GENERATE]), default="ES256", help="Of the key.")
@with_appcontext
def write_key(folder: Path | None, algorithm: str) -> None:
    """Write a new key to FOLDER, DATA_DIR if none is given, and print the settings to go through.

    No token is refused on the way: the key is published before it signs.
    """
    private_key = GENERATE[algorithm]()
    kid = token_key(private_key, "").kid
    name = f"access-tokens-{kid[:8]}.pem"
    path = ((folder or current_app.config["DATA_DIR"]) / name).resolve()
    if "," in str(path):
        raise click.ClickException(f"{path} has a comma, which is between keys in the setting.")
    try:
        _write_private(path, to_pem(private_key))
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(_describe_steps(str(path), current_app.config["JWT_PRIVATE_KEYS"]))


def _write_private(path: Path, pem: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def _describe_steps(path: str, present: tuple[TokenKey, ...]) -> str:
    if not present:
        return FIRST.format(path=path)
    former = ",".join(key.source for key in present)
    config = current_app.config
    return STEPS.format(
        path=path,
        published=PUBLISHED_SECONDS,
        valid=config["JWT_ACCESS_TOKEN_EXPIRES"] + config["JWT_LEEWAY"],
        publish=f"{former},{path}",
        sign=f"{path},{former}",
        retire=path,
    )
