"""Patterns of the catalogue for JSON Schema, whose regular expressions are those of ECMA-262 (JavaScript).

RE2 and ECMA-262 differ in what `.`, `\\s` and `[` mean, and some validators take `\\d` for any digit of Unicode. So
each set of characters is written out. No set has NUL: parameters are refused with it before a pattern sees them.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ecma_pattern"]

_SETS: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_ESCAPES: Final = {"A": "^", "z": "$", **{each: "\\" + each for each in "bBfnrtv"}}
_ANCHORS: Final = ("^", "$", r"\b", r"\B")
_NOT: Final = r"^\x00"
_SYNTAX: Final = frozenset(r"^$\.*+?()[]{}|/")
_TOKEN: Final = re.compile(
    r"""
      \\x(?P<hex>[0-9a-fA-F]{2})
    | \\(?P<escaped>.)
    | (?P<quantifier>\{[0-9]+(?:,[0-9]*)?\})
    | (?P<posix>\[:)
    | (?P<open>\[\^?)
    | (?P<flags>\(\?(?!:))
    | (?P<group>\(\?:)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class _NoEquivalent(Exception):
    """RE2 has something that ECMA-262 has not."""


def ecma_pattern(pattern: str) -> str | None:
    """Return the pattern for whole texts in the syntax of ECMA-262, or None if it has none of the same meaning."""
    written: list[str] = []
    first: int | None = None  # where in `written` the characters of a class begin
    try:
        for token in _TOKEN.finditer(pattern):
            if first is None and token["open"]:
                written.append("[" if token["open"] == "[" else f"[{_NOT}")
                first = len(written)
            elif first is not None and token["other"] == "]" and len(written) > first:
                written.append("]")
                first = None
            elif first is not None and token[0] == "-" and (len(written) == first or written[-1] in _SETS.values()):
                written.append(r"\-")  # the character, in RE2. Here it would make a range with what is before it
            elif first is None and _repeats(token) and "".join(written[-1:]) in _ANCHORS:
                raise _NoEquivalent
            else:
                written.append(_outside(token) if first is None else _in_class(token))
    except _NoEquivalent:
        return None
    return f"^(?:{''.join(written)})$"


def _repeats(token: re.Match[str]) -> bool:
    return bool(token["quantifier"]) or token[0] in ("*", "+", "?")


def _in_class(token: re.Match[str]) -> str:
    escaped = token["escaped"]
    if token["posix"] or (escaped and (escaped in "AzbB" or (escaped.lower() in "dws" and escaped.isupper()))):
        raise _NoEquivalent
    if escaped:
        return _SETS.get(escaped) or _escape(escaped, or_also="-")
    return "\\" + token[0] if token[0] in ("[", "[^", "]") else token[0]


def _outside(token: re.Match[str]) -> str:
    escaped = token["escaped"]
    if token["flags"]:
        raise _NoEquivalent
    if escaped and escaped.lower() in _SETS:
        return f"[{_NOT if escaped.isupper() else ''}{_SETS[escaped.lower()]}]"
    if escaped:
        return _escape(escaped)
    if token["posix"]:  # the beginning of a class that has a colon in it
        raise _NoEquivalent
    return {".": rf"[{_NOT}\n]", "{": r"\{", "}": r"\}", "]": r"\]"}.get(token[0], token[0])


def _escape(escaped: str, or_also: str = "") -> str:
    if escaped in _ESCAPES:
        return _ESCAPES[escaped]
    if escaped.isalnum():  # a class of Unicode, a quotation, an octal number
        raise _NoEquivalent
    return "\\" + escaped if escaped in _SYNTAX or escaped == or_also else escaped
