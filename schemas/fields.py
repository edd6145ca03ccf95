"""The fields of requests: each accepts what is valid and returns it in its stored form."""

import base64
import re
import unicodedata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import current_app
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf, Range, Regexp

from database.models import ROLES
from schemas.base import EXAMPLE_EMAIL, EXAMPLE_ID, EXAMPLE_TOKEN, describe
from services import languages
from services.token_service import MAX_TOKEN_LENGTH

# Control characters, and other line separators.
LINE_BREAKING = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
CONTROL_CHARACTERS = re.compile(rf"[{LINE_BREAKING}\ud800-\udfff]")
# What an email program may show as a link, in NFKC. To a browser U+3002 is a dot (UTS #46, 2.3).
LINK_LIKE = re.compile(r"[<>/:@]|[.\u3002]\w{2}")
# The characters with the property Default_Ignorable_Code_Point, which are shown as nothing
# (DerivedCoreProperties.txt of Unicode 16).
IGNORABLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Between letters they change how Persian or Indic letters join.
JOINERS = "\u200c\u200d"
AFTER = "Where the page begins: follow the Link header, which contains it."
ABOUT_EMAIL = "Blanks around it are removed, and it is stored in lower case."
ABOUT_NAME = "Nothing that an email program shows as a link, and no invisible characters."
ABOUT_LOCALE = "The language of emails, of those that this server has: en, pt-BR, de …"
ABOUT_COOKIE = (
    "True, for a page in a browser: the refresh token of this session is in no response, but in the"
    " cookie `__Host-refresh`, from which `/api/auth/refresh` and `/api/auth/logout` read it."
)
HARD_TO_GUESS = (
    "8 to 128 characters in NFKC, hard to guess: words of the email and the name count as easy."
)
MAX_CURSOR_LENGTH = 1000
ROLE = {"title": "Role"}


def line_pattern(longest: int) -> str:
    """Return the pattern of a line with 1 to `longest` characters between blanks, for clients."""
    blank, visible = rf"[^\S{LINE_BREAKING}]", rf"[^\s{LINE_BREAKING}]"
    return rf"^{blank}*{visible}([^{LINE_BREAKING}]{{0,{longest - 2}}}{visible})?{blank}*$"


class LimitedText(fields.String):
    """A text of a request, whose length is checked before anything else is done with it.

    Most work on a text takes longer than its length: NFKC of 31,000 combining marks takes seconds.
    Subclasses override `parse`, which gets no text that is too long.
    """

    def __init__(self, max_length: int, metadata: dict[str, Any], **options: Any) -> None:
        """Accept max_length characters as they were sent; metadata is for the OpenAPI document."""
        super().__init__(metadata={"maxLength": max_length, **metadata}, **options)
        self.max_length = max_length

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> str:
        text = str(super()._deserialize(value, *args, **options))
        if len(text) > self.max_length:
            raise ValidationError(f"Must be at most {self.max_length:,} characters long.")
        return self.parse(text)

    def parse(self, text: str) -> str:
        """Return the text in its stored form; raises ValidationError."""
        return text


class Email(LimitedText):
    """An email in its stored form: trimmed, lower case, its domain in ASCII."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        metadata = {"format": "email", "examples": [EXAMPLE_EMAIL], "description": ABOUT_EMAIL}
        super().__init__(320, metadata, **options)

    def parse(self, text: str) -> str:
        """Return the normalised address; strict limits its local part to 64 octets."""
        text = text.strip(" \t").lower()
        try:
            found = validate_email(
                text, allow_smtputf8=False, check_deliverability=False, strict=True
            )
        except EmailNotValidError:
            raise ValidationError("Not a valid email address.") from None
        return str(found.ascii_email)


class Password(LimitedText):
    """A password as it was typed; services decide which is strong enough."""

    def __init__(self, description: str = "", **options: Any) -> None:
        """Take a description for the OpenAPI document and the options of a field."""
        metadata = {"format": "password", "examples": ["correct horse battery"]}
        super().__init__(1024, metadata | describe(description), **options)


class Token(LimitedText):
    """A token; token_service verifies it."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a field."""
        super().__init__(MAX_TOKEN_LENGTH, {"examples": [EXAMPLE_TOKEN]}, **options)


class SingleLine(LimitedText):
    """A line of text, trimmed."""

    def __init__(
        self,
        longest: int,
        example: str,
        description: str = "",
        max_length: int | None = None,
        **options: Any,
    ) -> None:
        """Accept 1 to `longest` characters once trimmed, and twice as many before."""
        metadata = {"minLength": 1, "pattern": line_pattern(longest), "examples": [example]}
        metadata |= describe(description)
        super().__init__(max_length or 2 * longest, metadata, **options)
        self.longest = longest

    def parse(self, text: str) -> str:
        """Return the line without blanks around it."""
        line = text.strip()
        if CONTROL_CHARACTERS.search(text) or not 1 <= len(line) <= self.longest:
            raise ValidationError(f"Must be a line of 1 to {self.longest} characters.")
        return line


class Name(SingleLine):
    """A person's name that no email program shows as a link.

    Emails contain it, and anyone can sign up with the email of somebody else.
    """

    def __init__(self, **options: Any) -> None:
        """Accept 1 to 100 characters in NFKC, which makes up to 18 characters of one."""
        super().__init__(100, "Ada", ABOUT_NAME, max_length=400, **options)

    def parse(self, text: str) -> str:
        """Return the name in NFKC."""
        name = super().parse(unicodedata.normalize("NFKC", text))
        plain = _without_joiners(name)
        is_visible = plain.isprintable() and not IGNORABLE.search(plain)
        letters = "".join(it for it in plain if unicodedata.category(it)[0] != "M")
        if LINK_LIKE.search(letters) or not is_visible or not any(map(str.isalnum, plain)):
            raise ValidationError("Not a name.")
        return name


def _without_joiners(name: str) -> str:
    """Return a name without the joiners that are between letters."""
    neighbours = zip(" " + name, name, name[1:] + " ", strict=False)
    return "".join(
        character
        for before, character, after in neighbours
        if character not in JOINERS or not (_is_letter(before) and _is_letter(after))
    )


def _is_letter(character: str) -> bool:
    """Return whether it is a letter, or a mark that belongs to one."""
    return unicodedata.category(character)[0] in "LM"


class Locale(LimitedText):
    """The language of emails and of the pages of links, one of MAIL_LOCALES."""

    def __init__(self, **options: Any) -> None:
        """Accept a tag of BCP 47, of which RFC 5646 allows 35 characters."""
        metadata = {"examples": ["pt-BR"], "description": ABOUT_LOCALE}
        super().__init__(35, metadata, **options)

    def parse(self, text: str) -> str:
        """Return the locale as it is stored."""
        if locale := languages.parse_locale(text):
            return locale
        tags = map(languages.bcp47, current_app.config["MAIL_LOCALES"])
        raise ValidationError(f"Must be one of {', '.join(tags)}.")


class Beginning(LimitedText):
    """How the email or a word of the name begins."""

    def __init__(self) -> None:
        """Accept any text."""
        about = "Only users whose email, or a word of whose name, begins so, in any case."
        super().__init__(400, {"description": about, "examples": ["ada"]})

    def parse(self, text: str) -> str:
        """Return the text in NFKC, as names are stored; NFKC makes up to 18 characters of one."""
        if CONTROL_CHARACTERS.search(text):
            raise ValidationError("Must not contain control characters.")
        # No email and no name is as long: so the Link to the next page is not too long either.
        return unicodedata.normalize("NFKC", text)[: self.max_length]


class Role(LimitedText):
    """What a user may do."""

    def __init__(self, description: str = "", **options: Any) -> None:
        """Accept the name of a role."""
        metadata = ROLE | describe(description)
        super().__init__(100, metadata, validate=OneOf(ROLES), **options)


class StringList(fields.List[str]):
    """1 to 100 lines of 1 to 100 characters each."""

    def __init__(self, example: str, **options: Any) -> None:
        """Take an example of a line."""
        limits = {"minItems": 1, "maxItems": 100}
        super().__init__(SingleLine(100, example), metadata=limits, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> list[str | None]:
        if not isinstance(value, list) or not 1 <= len(value) <= 100:
            raise ValidationError("Must be a list of 1 to 100 strings.")
        return [self.inner.deserialize(line) for line in value]


class Limit(fields.Integer):
    """How many items a page has at most."""

    def __init__(self) -> None:
        """Accept 1 to 200, 50 if there is none."""
        metadata = {"description": "How many at most.", "examples": [50]}
        super().__init__(load_default=50, validate=Range(1, 200), metadata=metadata)


class Id(LimitedText):
    """An id as 24 hex digits."""

    def __init__(self, description: str, error: str = "Not an id.", **options: Any) -> None:
        """Take a description for the OpenAPI document, and what is said of another text."""
        # Python's \Z is not part of the dialect of JSON Schema.
        about = {"pattern": "^[0-9a-f]{24}$", "examples": [EXAMPLE_ID], "description": description}
        pattern = Regexp(r"[0-9a-f]{24}\Z", error=error)
        super().__init__(MAX_CURSOR_LENGTH, about, validate=pattern, **options)


class IdCursor(Id):
    """The id after which a page begins."""

    def __init__(self) -> None:
        """Accept 24 hex digits."""
        super().__init__(AFTER, "Not a cursor.")


class Flag(fields.Boolean):
    """Yes or no: a boolean of JSON."""

    def __init__(self, description: str = "") -> None:
        """Take a description for the OpenAPI document."""
        super().__init__(metadata={"examples": [True], **describe(description)})

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class CookieFlag(Flag):
    """Whether the refresh token goes into a cookie."""

    def __init__(self) -> None:
        """Accept a boolean; without the field no cookie is set."""
        super().__init__(ABOUT_COOKIE)
        self.metadata = {**self.metadata, "examples": [False]}


class QueryFlag(Flag):
    """Yes or no: the text `true` or `false` in a query."""

    TEXTS = {"true": True, "false": False}

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> bool:
        flag = self.TEXTS.get(value) if isinstance(value, str) else None
        return super()._deserialize(flag, *args, **options)


class NameCursor(LimitedText):
    """The name after which a page begins, as URL-safe base64 so that clients don't build it.

    As base64, a name of 200 emoji is longer than a cursor may be: it is sent as it is, marked.
    """

    PLAIN = "~"

    def __init__(self) -> None:
        """Accept what encode returns."""
        about = {"description": AFTER, "examples": [self.encode("Heat")]}
        super().__init__(MAX_CURSOR_LENGTH, about)

    def parse(self, text: str) -> str:
        """Return the name."""
        if text.startswith(self.PLAIN):
            return text[1:]
        try:
            return base64.b64decode(text, b"-_", validate=True).decode()
        except ValueError:
            raise ValidationError("Not a cursor.") from None

    @classmethod
    def encode(cls, name: str) -> str:
        """Return the cursor of a name."""
        cursor = base64.urlsafe_b64encode(name.encode()).decode()
        return cursor if len(cursor) <= MAX_CURSOR_LENGTH else cls.PLAIN + name
