"""Regular expressions of the catalogue. They are matched by RE2, in time linear in the length of the text.

So no text of a caller can stop a function: see docs/decisions/0018. The syntax is that of RE2. `\\d`, `\\w` and `\\s`
match ASCII only.
"""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Pattern"]


class Pattern:
    """A regular expression for whole texts."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str, compiled: Any) -> None:
        self.text = text
        self._compiled = compiled

    @classmethod
    def parse(cls, text: object) -> Self:
        """Return the pattern written as `text`. Raises ValueError if `text` does not have the syntax of RE2."""
        if not isinstance(text, str):
            raise ValueError(f"pattern must be a text, not {text!r}")
        import re2  # takes 13 ms. A catalogue without patterns does not need it

        options = re2.Options()
        options.log_errors = False  # they are raised
        try:
            return cls(text, re2.compile(text, options))
        except re2.error as error:
            reason = error.args[0].decode()
            raise ValueError(f"pattern {text!r} is not a regular expression of RE2: {reason}") from None

    def matches(self, text: str) -> bool:
        """Return whether the whole `text` matches."""
        return self._compiled.fullmatch(text) is not None
