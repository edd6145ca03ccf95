"""The page of the shell commands, read off click."""

import inspect
from collections.abc import Iterator

import click

from commands.group import Group
from scripts.reference import markdown
from scripts.reference.application import application
from scripts.reference.markdown import code

PROGRAM = "flask --app app"
ABOUT = """Every command of `flask --app app`, for operators: what it does and takes. `--help`
after each prints the same. Flask's own commands (`run`, `shell`, `routes`) are not listed."""
SOURCE = "the modules of `commands/`"
NOTES = """Run them in the folder of `app.py`, with `.venv/bin/` before `flask` unless the
environment is active, and with the settings of the service. Most print to standard error which
`APP_ENV` and database they work on. A command that fails prints `Error:` with a sentence and
returns 1; one that is used wrongly returns 2."""
SEE_ALSO = "[Operations](../operations.md) says when an operator needs which."
CREATES = "Database: the service's; development's embedded one is created if there is none."
USES = "Database: the service's, which must be there."
NO_DATABASE = "Database: none."


def render() -> str:
    """Return the page."""
    sections: list[str] = []
    for name, command in sorted(application().cli.commands.items()):
        sections += _group(name, command) if isinstance(command, click.Group) else []
    single = [it for it in application().cli.commands.values() if not isinstance(it, click.Group)]
    sections.append("## Other commands")
    for command in sorted(single, key=lambda it: it.name or ""):
        sections += _command(command, [], NO_DATABASE)
    parts = [markdown.paragraph(NOTES), SEE_ALSO, _overview(), *sections]
    return markdown.page("Commands", ABOUT, SOURCE, parts)


def _overview() -> str:
    rows = [
        [f"[`{' '.join(path)}`](#{'-'.join(path)})", _first_line(command)]
        for path, command in walk(application().cli)
    ]
    return markdown.table(["command", "does"], rows)


def walk(group: click.Group) -> Iterator[tuple[list[str], click.Command]]:
    """Yield the path and the command of every command below a group, sorted."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield [name], command
            yield from (([name, *path], found) for path, found in walk(command))
        else:
            yield [name], command


def _first_line(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0]


def _group(name: str, group: click.Group) -> list[str]:
    parts = [f"## {(group.help or '').rstrip('.')}"]
    if group.invoke_without_command:
        parts += _command(group, [], NO_DATABASE)
    creating = group.creating if isinstance(group, Group) else set()
    for command_name, command in sorted(group.commands.items()):
        parts += _command(command, [name], CREATES if command_name in creating else USES)
    return parts


def _command(command: click.Command, path: list[str], database: str) -> list[str]:
    words = [*path, command.name or ""]
    context = click.Context(command, info_name=" ".join([PROGRAM, *words]), show_default=True)
    options = [f"{code(names)}: {about}" for names, about in _options(command, context)]
    pieces = command.collect_usage_pieces(context)[0 if options else 1 :]
    usage = " ".join([context.command_path, *pieces])
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return [
        f"### {' '.join(words)}",
        f"```text\n{usage}\n```",
        *map(markdown.paragraph, [*paragraphs, database]),
        *filter(None, [markdown.bullets(options)]),
    ]


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            yield record
