"""PostgreSQL's lexical rules for constants, in a second hand: which parts of a text are literals, and what they say.

Written after chapter 4.1 of PostgreSQL's manual and its src/backend/parser/scan.l, and not after the code that writes
literals here. So a mistake there is not made here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Token", "tokens"]

_SPACE: Final = re.compile(r"(?:[ \t\n\r\f\v]+|--[^\n\r]*)+")
_CONTINUED: Final = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'")
_WORD: Final = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_NUMBER: Final = re.compile(
    r"0(?:[xX][0-9A-Fa-f_]+|[oO][0-7_]+|[bB][01_]+)|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]+)?"
)
_DOLLAR: Final = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_PREFIXED: Final = re.compile(r"(?:[eEbBxXnN]|[uU]&)?'")
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NUMBERED: Final = re.compile(r"x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")


class Token(NamedTuple):
    """A token, where it begins, and its text: of a literal the text that it means."""

    kind: str  # "literal", "name", "word", "number" or "symbol"
    text: str
    at: int


def tokens(sql: str, *, standard_strings: bool) -> Iterator[Token]:
    """Yield the tokens.

    Raises ValueError where PostgreSQL would find no end of a literal, a name or a comment, or, since version 15, a
    letter directly after a number.
    """
    at = 0
    while at < len(sql):
        if space := _SPACE.match(sql, at):
            at = space.end()
        elif sql.startswith("/*", at):
            at = _after_comment(sql, at)
        elif prefix := _PREFIXED.match(sql, at):
            kind = prefix[0][0].lower()
            escapes = kind == "e" or (kind in "'n" and not standard_strings)
            text, end = _quoted(sql, prefix.end(), escapes=escapes)
            yield Token("literal", text, at)
            at = end
        elif sql[at] == '"' or sql[at : at + 3].lower() == 'u&"':
            start = sql.index('"', at) + 1
            end = start
            while True:
                end = sql.index('"', end) + 1
                if not sql.startswith('"', end):
                    break
                end += 1
            yield Token("name", sql[start : end - 1].replace('""', '"'), at)
            at = end
        elif opening := _DOLLAR.match(sql, at):
            end = sql.index(opening[0], opening.end())
            yield Token("literal", sql[opening.end() : end], at)
            at = end + len(opening[0])
        elif word := _WORD.match(sql, at):
            yield Token("word", word[0], at)
            at = word.end()
        elif number := _NUMBER.match(sql, at):
            if _WORD.match(sql, number.end()):
                raise ValueError("trailing junk after a number")
            yield Token("number", number[0], at)
            at = number.end()
        else:
            yield Token("symbol", sql[at], at)
            at += 1


def _after_comment(sql: str, at: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(sql, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise ValueError("a comment without an end")


def _quoted(sql: str, at: int, *, escapes: bool) -> tuple[str, int]:
    """Return what the literal means that continues at `at`, behind its first quote, and its end."""
    text: list[str] = []
    while True:
        if at >= len(sql):
            raise ValueError("a literal without an end")
        character = sql[at]
        at += 1
        if character == "'":
            if sql.startswith("'", at):
                text.append("'")
                at += 1
            elif continued := _CONTINUED.match(sql, at):
                at = continued.end()
            else:
                return "".join(text), at
        elif character == "\\" and escapes:
            if numbered := _NUMBERED.match(sql, at):
                digits = numbered[numbered.lastindex or 0]
                text.append(chr(int(digits, 8 if numbered.lastindex == 2 else 16)))
                at = numbered.end()
            elif at >= len(sql):
                raise ValueError("a literal without an end")
            else:
                text.append(_ESCAPES.get(sql[at], sql[at]))
                at += 1
        else:
            text.append(character)
