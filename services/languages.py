"""Languages: which one a user gets, and how its dates, numbers and durations are written.

A locale is written as Babel does, pt_BR; what clients see is BCP 47, pt-BR. The texts are in
translations/, one catalogue per language; a text that is missing there is shown in English.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from babel.dates import format_timedelta
from babel.lists import format_list
from flask import Flask, current_app
from flask_babel import Babel, format_date, format_datetime, format_number, get_locale, gettext
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from database.models import User

# Several times as long as what a browser sends.
MAX_HEADER_LENGTH = 200
Unit = Literal["day", "hour", "minute"]
MINUTES: dict[Unit, int] = {"day": 24 * 60, "hour": 60, "minute": 1}
# A number in a message: "Must be at most 1,024 characters long."
NUMBER = re.compile(r"\d[\d,]*")


def initialize_languages(app: Flask, select_locale: Callable[[], str | None]) -> None:
    """Translate templates into the locale that select_locale returns; None is English."""
    Babel(app, default_locale="en", locale_selector=select_locale)
    app.jinja_env.globals.update(get_locale=get_locale)
    dates = {"long_date": long_date, "long_time": long_time}
    app.jinja_env.filters.update(dates, bcp47=bcp47, translate=translate)


def locale_of(user: User) -> str:
    """Return the locale of a user; the first of MAIL_LOCALES without one, or if it was removed."""
    locales: list[str] = current_app.config["MAIL_LOCALES"]
    return user.locale if user.locale in locales else locales[0]


def parse_locale(tag: str) -> str | None:
    """Return the one of MAIL_LOCALES that a tag names: pt-BR, pt_BR and PT-br are one."""
    tag = tag.replace("-", "_").lower()
    return next((it for it in current_app.config["MAIL_LOCALES"] if it.lower() == tag), None)


def best_match(accept_language: str) -> str:
    """Return the one of MAIL_LOCALES that a header Accept-Language prefers, or the first.

    A language in another region will do: de-AT gets de, and pt-PT gets pt_BR.
    """
    if len(accept_language) <= MAX_HEADER_LENGTH:
        for tag, quality in parse_accept_header(accept_language, LanguageAccept):
            if quality > 0 and (locale := parse_locale(tag) or _same_language(tag)):
                return locale
    return str(current_app.config["MAIL_LOCALES"][0])


def _same_language(tag: str) -> str | None:
    language = re.split("[-_]", tag.lower())[0]
    locales = current_app.config["MAIL_LOCALES"]
    return next((it for it in locales if it.split("_")[0] == language), None)


def bcp47(locale: object) -> str:
    """Return a locale as HTML and HTTP write it: pt-BR."""
    return str(locale).replace("_", "-")


def duration(minutes: int) -> str:
    """Return a duration in words: 90 is "1 hour and 30 minutes", 10080 is "7 days".

    Up to two days it is in hours: "24 hours" is clearer than "1 day".
    """
    parts = []
    for unit, size in MINUTES.items():
        if unit != "day" or minutes >= 2 * size:
            count, minutes = divmod(minutes, size)
            parts += [_count(count, unit)] if count else []
    return format_list(parts, locale=get_locale())


def _count(number: int, unit: Unit) -> str:
    # Not babel.units.format_unit, which writes "7 day" in Portuguese (Babel 2.18).
    delta = timedelta(**{f"{unit}s": number})
    return format_timedelta(delta, unit, threshold=float("inf"), locale=get_locale())


def long_date(seconds: float) -> str:
    """Return the date in UTC of seconds since the epoch: "November 20, 2026"."""
    return str(format_date(datetime.fromtimestamp(seconds, UTC).date(), "long"))


def long_time(seconds: float) -> str:
    """Return the date and time in UTC of seconds since the epoch."""
    written = str(format_datetime(datetime.fromtimestamp(seconds, UTC), "long"))
    # Before AM and PM is a narrow space, which some fonts draw as nothing.
    return written.replace("\u202f", "\u00a0")


def translate(message: str) -> str:
    """Return the message of an error in the language of the page.

    The catalogues have %s in the place of a number that varies.
    """
    translated = str(gettext(message))
    if translated != message:
        return translated
    translated = str(gettext(NUMBER.sub("%s", message)))
    for number in NUMBER.findall(message):
        translated = translated.replace("%s", format_number(int(number.replace(",", ""))), 1)
    return translated
