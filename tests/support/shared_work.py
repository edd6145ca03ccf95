"""Work that the applications of a test run share: each test makes one, of the same input."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from flask import Flask
from werkzeug.routing import Rule

from services import settings_warnings

Builder = Callable[..., tuple[str, str]]


class OnceCompiledRule(Rule):
    """A URL rule of which Werkzeug compiles the builders for the first application alone."""

    _builders: ClassVar[dict[tuple[Any, ...], Builder]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Builder:
        # All that the code of a builder depends on; it takes the converters from its rule.
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in self._builders:
            self._builders[key] = super()._compile_builder(append_unknown)
        return self._builders[key]


def share_work() -> None:
    """Compile each URL once, and compare each name of the environment with the settings once."""
    Flask.url_rule_class = OnceCompiledRule
    about_unknown = settings_warnings._about_unknown
    settings_warnings._about_unknown = cache(lambda name: tuple(about_unknown(name)))
