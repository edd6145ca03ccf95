"""The templates of emails, and the folder MAIL_TEMPLATES, whose templates win over ours.

There, `<name>.<locale>.html` wins over `<name>.html`, which wins over ours; a .txt likewise. The
first line of a .txt is the subject: `Subject: …`, followed by an empty line.
"""

from typing import Any, NamedTuple

from flask import Flask, current_app
from flask_babel import get_locale
from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, Template, TemplateError
from jinja2.filters import do_wordwrap

from setting_sources import SettingsError

FOLDER = "email"
COLUMNS = 76


class Content(NamedTuple):
    """What an email says."""

    subject: str
    text: str
    html: str


def initialize_mail_templates(app: Flask) -> None:
    """Look for the templates of emails in MAIL_TEMPLATES first, if it is set.

    Raises:
        SettingsError: one of them is not a valid template.
    """
    ours, folder = app.jinja_loader, app.config["MAIL_TEMPLATES"]
    if ours and folder:
        theirs = FileSystemLoader(folder)
        app.jinja_loader = ChoiceLoader([PrefixLoader({FOLDER: theirs}), ours])
        for name in theirs.list_templates():
            if name.endswith((".txt", ".html")):
                _compile(app, f"{FOLDER}/{name}")


def _compile(app: Flask, name: str) -> None:
    try:
        app.jinja_env.get_template(name)
    except (TemplateError, UnicodeDecodeError) as error:
        raise SettingsError({"MAIL_TEMPLATES": [f"{name}: {error}"]}) from None


def render(template: str, context: dict[str, Any]) -> Content:
    """Return an email in the current locale, from `<template>.txt` and `<template>.html`."""
    text = _find(template, "txt").render(context)
    html = _find(template, "html").render(context, layout=_find("layout", "html"))
    head, _, body = text.partition("\n\n")
    # A link is longer than a line; it must not be broken.
    wrapped = do_wordwrap(current_app.jinja_env, body, COLUMNS, False, break_on_hyphens=False)
    return Content(head.removeprefix("Subject: "), wrapped, html)


def _find(name: str, suffix: str) -> Template:
    names = [f"{FOLDER}/{name}.{suffix}"]
    if current_app.config["MAIL_TEMPLATES"]:  # ours are of every language
        names.insert(0, f"{FOLDER}/{name}.{get_locale()}.{suffix}")
    return current_app.jinja_env.select_template(names)
