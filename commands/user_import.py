"""`flask --app app user import|export`: users from another system, and for another one."""

import base64
import json
from functools import partial
from pathlib import Path

import click

from commands.line_import import (
    ImportResult,
    OnError,
    OnProgress,
    import_rows,
    read_json_lines,
    run_import,
)
from commands.users import user as user  # with the commands of this module
from infra.foreign_hashes import firebase_text
from schemas.base import iso, load
from schemas.user_import import UserLineSchema
from services import user_import_service
from services.user_import_service import Combine, UserImport


@user.command("import", creates=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--firebase-signer-key", metavar="BASE64", help="Of the project's hash parameters.")
@click.option("--firebase-salt-separator", metavar="BASE64", default="", help="Of the same.")
@click.option("--firebase-rounds", type=click.IntRange(1, 100), default=8, help="Of the same.")
@click.option("--firebase-memory-cost", type=click.IntRange(1, 20), default=14, help="Of the same.")
def import_users(
    file: Path,
    firebase_signer_key: str | None,
    firebase_salt_separator: str,
    firebase_rounds: int,
    firebase_memory_cost: int,
) -> None:
    """Add the users of FILE; those whose email is taken are skipped.

    Each line is a JSON object with email, and if they are known name, hash, verified, created_at,
    locale, role, disabled and invited. A hash of another system is replaced at the first login.
    """
    project = firebase_salt_separator, firebase_rounds, firebase_memory_cost
    combine = _firebase(firebase_signer_key, *project) if firebase_signer_key else None
    users = UserImport(combine)
    run_import(file, partial(_import_file, file, users))
    if (seconds := users.seconds_per_check()) > 0.001:
        click.echo(
            f"While hashes of other systems are stored, every login takes {seconds:.3f} s longer"
            " on this machine: nobody can tell whose they are."
        )


def _firebase(signer_key: str, separator: str, rounds: int, memory: int) -> Combine:
    for text in (signer_key, separator):
        try:
            base64.b64decode(text, validate=True)
        except ValueError:
            raise click.BadParameter("The signer key and the separator are base64.") from None
    return lambda hashed, salt: firebase_text(hashed, salt, signer_key, separator, rounds, memory)


def _import_file(
    path: Path, users: UserImport, on_error: OnError, on_progress: OnProgress
) -> ImportResult:
    schema = UserLineSchema()
    result = import_rows(
        read_json_lines(path),
        lambda row: users.prepare(load(schema, row)),
        users.store,
        on_error,
        on_progress,
    )
    users.finish(result.added)
    return result


@user.command("export")
def export_users() -> None:
    """Print every user as a line of JSON that the import reads, with the hash of the password.

    It has no factor, session or movie. Keep it as secret as the database.
    """
    for exported in user_import_service.export():
        exported["created_at"] = iso(exported["created_at"])
        click.echo(json.dumps(exported, ensure_ascii=False))
