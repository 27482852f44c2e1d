"""The parts of an SQL text that are comments, strings or quoted names. In them a placeholder is not a parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["quotations", "unquoted"]

# To PostgreSQL every character outside ASCII is a letter.
_LETTER: Final = r"[A-Za-z_\x80-\U0010ffff]"
# Code that is read as a whole, so that no part begins inside it. A name can have a $. A number and a placeholder end
# before one. %% is a percent sign, whatever follows it.
_NAME: Final = rf"{_LETTER}(?:{_LETTER}|[0-9$])*"
_NUMBER: Final = r"0[xXoObB][0-9A-Fa-f_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9][0-9_]*)?"
_PERCENT: Final = r"%(?:%|\(\w*\)s)"
# After a line break, PostgreSQL reads one string on in the next, with the same escapes.
_CONTINUED: Final = r"'(?:[ \t\f\v]|--[^\r\n]*)*+[\r\n](?:[ \t\n\r\f\v]|--[^\r\n]*[\r\n])*+'"

# A part without an end goes on to the end of the text. Two quotes in a string are read as two strings, side by side.
_NEXT: Final = re.compile(
    rf"""
      --[^\r\n]*
    | /\*
    | [eE]'(?:[^'\\]|\\(?:.|\Z)|''|{_CONTINUED})*+(?:'|\Z)
    | '[^']*(?:'|\Z)
    | "[^"]*(?:"|\Z)
    | \$(?P<tag>(?:{_LETTER}(?:{_LETTER}|[0-9])*)?)\$ .*? (?:\$(?P=tag)\$|\Z)
    | (?P<code>{_NAME}|{_NUMBER}|{_PERCENT})
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT: Final = re.compile(r"/\*|\*/")


def quotations(sql: str) -> Iterator[range]:
    """Yield the positions of each part, from its first character to its last."""
    at = 0
    while match := _NEXT.search(sql, at):
        at = _end_of_comment(sql, match.end()) if match[0] == "/*" else match.end()
        if match["code"] is None:
            yield range(match.start(), at)


def unquoted(sql: str) -> str:
    """Return `sql` with blanks in place of each part, so that positions are the same."""
    rest = list(sql)
    for part in quotations(sql):
        rest[part.start : part.stop] = " " * len(part)
    return "".join(rest)


def _end_of_comment(sql: str, at: int) -> int:
    """Return the end of the comment that begins before `at`. Comments can be nested."""
    depth = 1
    for mark in _COMMENT.finditer(sql, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)
