"""A text of another program, a mail server's reply say, without what must not be logged."""

import base64
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

REMOVED = "[…]"
# Of a text that may be endless, and of what is left of it.
MAX_READ = 1_000
MAX_KEPT = 200
# A shorter text may be part of a word: it is removed only as a word of its own.
UNMISTAKABLE = 5

# "ada (at) example.com" and the like, and the encodings of "@" that a server may repeat.
SPELLED_AT = re.compile(r"\s?(?:@|[(\[{<] ?at ?[)\]}>]|[=+]40|&commat;|&#(?:64|x40);)\s?", re.I)
# A word with an address or a link in it, the beginning of a JWT, or what may be an encoded text.
SECRET = re.compile(r"@|://|eyJ|[\w+/=.~-]{40}|(?=[\w+/=~-]*\d)[A-Za-z0-9+/=_~-]{16}")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text as one line without addresses, links, tokens and secrets, at most MAX_KEPT.

    A secret is removed in any case and in base64; of an address its local part too, and its words.
    """
    line = _one_line(text)
    for pattern in _patterns(secrets):
        line = pattern.sub(REMOVED, line)
    words = (REMOVED if SECRET.search(word) else word for word in line.split())
    return " ".join(words)[:MAX_KEPT]


def _one_line(text: str) -> str:
    """Return the beginning of a text in which each character has one spelling."""
    known = unicodedata.normalize("NFKC", unquote(text[:MAX_READ]))
    printable = "".join(char if char.isprintable() else " " for char in known)
    if len(text) > MAX_READ:
        printable = printable.rpartition(" ")[0]  # the last word may be half an address
    return SPELLED_AT.sub("@", printable)


def _patterns(secrets: Iterable[str]) -> list[re.Pattern[str]]:
    """Return a pattern for each form of the secrets, the longest first."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    return [_pattern(form) for form in sorted(forms, key=len, reverse=True)]


def _forms(secret: str) -> Iterable[str]:
    local_part = secret.partition("@")[0]
    yield from (secret, local_part, local_part.replace(".", ""))
    yield from (word for word in re.split(r"[\W_]+", local_part) if len(word) > 2)
    yield from (_encoded(text) for text in (secret, local_part))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def _pattern(form: str) -> re.Pattern[str]:
    escaped = re.escape(form)
    if len(form) < UNMISTAKABLE:
        escaped = rf"(?<![^\W_]){escaped}(?![^\W_])"
    return re.compile(escaped, re.I)
