"""The page of the settings: config.py has types and defaults, .env.example says what each means."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from marshmallow import fields
from marshmallow.validate import OneOf, Range, Regexp

from config import LIMITS, SettingsSchema
from production_checks import REQUIRED_IN_PRODUCTION, ROTATING_KEYS, SECRET_BYTES
from scripts.reference import markdown
from scripts.reference.markdown import code
from setting_sources import HOME, RENAMED_SETTINGS

ABOUT = """Every setting of Movie-bag: what it means, its default and what it accepts. Settings
come from the environment or from a file `.env`; the environment wins, and an empty value counts
as unset. A value that is not accepted stops the start, and every wrong one is named at once."""
SOURCE = "`config.py` and `.env.example`"
SEE_ALSO = """[First deployment](../deployment/first.md) says which settings production needs,
[Limits](../limits.md) why the limits are as they are,
[Add a setting](../how-to/add-a-setting.md) how to make one of your own."""
RENAMED = "The old names still work, with a warning in the log. If both are set, the new one wins."
ENV_FILE = "ENV_FILE_LOCATION"
HEADING = re.compile(r"# === (.+) ===")
CODE = re.compile(
    r"(?<!\w)([A-Z]+(?:_[A-Z]+)+(?:/[\w.]*\w)?"  # MAIL_PORT, DATA_DIR/email.log
    r"|[a-z]+://[\w.:@/]*|/[a-z]+(?:/\{token\})?|\{token\}|<\w+>)"
)
EXAMPLE = re.compile(r"# Example: [A-Z_]+=(.+)")
SETTING = re.compile(r"# ([A-Z_]+)=(.*)")
TYPES = {fields.Integer: "a whole number", fields.Boolean: "`true` or `false`"}
TYPES |= {fields.Url: "an http or https URL", fields.String: "a text"}
LIMIT = "one limit or more, as `5 per minute; 50 per day`"
KEYS = f"one key or more, separated by commas; in production at least {SECRET_BYTES} bytes each"
# What config.py does not check, or splits.
ACCEPTED = {
    "CORS_ORIGINS": "origins as browsers send them, separated by commas",
    "DATA_DIR": "the path of a folder; a relative one is below the current directory",
    **dict.fromkeys(ROTATING_KEYS, KEYS),
    "JWT_PRIVATE_KEYS": r"paths of PEM files, or PEM with `\n` for its line breaks, separated by"
    " commas; keys of P-256 and Ed25519",
    "PASSKEY_ORIGINS": "`https://` origins and `android:apk-key-hash:…`, separated by commas;"
    " `http://localhost` too",
    ENV_FILE: "the path of a file",
    "WEBHOOK_URLS": "`https://` URLs in ASCII, separated by commas; `http://` of `localhost`,"
    " `127.0.0.1` and `[::1]`",
    "WEBHOOK_SECRET": "one or more, separated by commas: `whsec_` and the base64 of 24 to 64"
    " random bytes",
    "MAIL_LOCALES": "locales that CLDR knows, separated by commas: `en`, `pt_BR` or `pt-BR`",
    "MAIL_TEMPLATES": "the path of a folder; each text in it begins with a line `Subject: …`",
    **dict.fromkeys(("HOST", "MAIL_SERVER", "METRICS_HOST"), "a host name or an IP address"),
}


class Explained(NamedTuple):
    """A setting as .env.example explains it; `text` is the text after its `=`."""

    name: str
    text: str
    comment: str
    example: str


class Group(NamedTuple):
    """A group of settings: its heading, what is true of all, and its settings."""

    title: str
    comment: str
    settings: list[Explained]


def render() -> str:
    """Return the page; raises ValueError if a setting has no explanation."""
    groups = list(read_groups((HOME / ".env.example").read_text("utf-8")))
    parts = [part for group in groups for part in _group(group)]
    return markdown.page("Settings", ABOUT, SOURCE, [*_intro(), *parts, *_renamed()])


def read_groups(text: str) -> Iterator[Group]:
    """Yield the groups of .env.example; raises ValueError if a setting is missing or unexplained.

    A comment belongs to the setting below it; one that ends at a blank line to the whole group.
    """
    found: set[str] = set()
    _, *parts = HEADING.split(text)
    for title, lines in zip(parts[::2], parts[1::2], strict=True):
        paragraphs = [it for it in lines.strip().split("\n\n") if it]
        comment = "" if SETTING.search(paragraphs[0]) else _plain(paragraphs.pop(0).split("\n"))
        settings = list(_settings("\n".join(paragraphs)))
        found |= {it.name for it in settings}
        yield Group(title, comment, settings)
    if missing := {*SettingsSchema().fields, ENV_FILE} - found:
        raise ValueError(f".env.example does not have {', '.join(sorted(missing))}")


def _settings(text: str) -> Iterator[Explained]:
    comment: list[str] = []
    example = ""
    for line in text.splitlines():
        if match := EXAMPLE.fullmatch(line):
            example = match[1]
        elif match := SETTING.fullmatch(line):
            if not comment:
                raise ValueError(f".env.example does not explain {match[1]}")
            yield Explained(match[1], match[2], _plain(comment), example)
            comment, example = [], ""
        else:
            comment.append(line)


def _plain(lines: list[str]) -> str:
    return " ".join(line.removeprefix("#").strip() for line in lines)


def _intro() -> Iterator[str]:
    *required, last = map(markdown.link, REQUIRED_IN_PRODUCTION)
    yield markdown.paragraph(f"Production does not start without {', '.join(required)} and {last}.")
    yield markdown.paragraph(SEE_ALSO)


def _group(group: Group) -> Iterator[str]:
    yield f"## {group.title}"
    if group.comment:
        yield markdown.paragraph(markup(group.comment))
    for setting in group.settings:
        yield f"### {code(setting.name)}"
        yield markdown.paragraph(markup(setting.comment))
        yield markdown.bullets(_properties(setting))


def _properties(setting: Explained) -> Iterator[str]:
    yield f"Default: {default(setting)}"
    if setting.example:
        yield f"Example: {code(setting.example)}"
    yield f"Accepts: {ACCEPTED.get(setting.name) or markup(accepted(setting.name))}"


def default(setting: Explained) -> str:
    """Return the default in words."""
    if not setting.text:
        return "unset"
    loosened = "; ten times as much in development" if setting.name in LIMITS else ""
    return code(setting.text) + loosened


def accepted(name: str) -> str:
    """Return in words what the field of a setting accepts."""
    field = SettingsSchema().fields[name]
    limits = [LIMIT] if name in LIMITS else []
    found = [*limits, *filter(None, map(_in_words, field.validators)), TYPES[type(field)]]
    return found[0]


def _in_words(validator: Any) -> str:
    match validator:
        case Range():
            return f"a whole number, {validator.min:,} to {validator.max:,}"
        case OneOf():
            return " or ".join(map(code, validator.choices))
        case Regexp():
            return str(validator.error).removeprefix("Must be ").rstrip(".").format()
    return ""


def markup(comment: str) -> str:
    """Return a comment as Markdown: names of settings, URLs, paths and placeholders are code."""
    pieces = re.split(r"(`[^`]*`)", comment)
    return "".join(it if it[:1] == "`" else CODE.sub(r"`\1`", it) for it in pieces)


def _renamed() -> list[str]:
    rows = [[code(old), markdown.link(new)] for old, new in RENAMED_SETTINGS.items()]
    return ["## Old names", RENAMED, markdown.table(["old", "new"], rows)]
