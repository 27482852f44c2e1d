"""Statements that differ only in values, as one: literals become parameters, as pg_stat_statements makes them.

    where id = 7 and status in ('paid', 'sent')     where id = $1 and status = any ($2)

Text that pg_stat_statements or a log recorded with $1 goes through the same, and `interval $1`, which is no SQL any
more, becomes `$1::interval`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from cacheaside.catalogue.quotations import quotations

__all__ = ["Normalised", "Slot", "fingerprint", "normalise", "with_shared_parameters"]

_NUMBER: Final = re.compile(r"(?<![\w$.])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|(?<![\w$])\$(\d+)", re.ASCII)
# Before a quote: the letter of a bit string, or of a string with Unicode escapes.
_PREFIX: Final = re.compile(r"(?:\b[bBxXnN]|&)\Z")
_OPERAND: Final = re.compile(r"[=<>(,]\s*-\Z")
_NUMBERED: Final = re.compile(r"\$\d+")
_SLOT: Final = re.compile("\0(\\d+)\0")
_SLOTS: Final = r"\0\d+\0(?:\s*,\s*\0\d+\0)*"
_IN: Final = re.compile(rf"\b(not\s+)?in\s*\(\s*({_SLOTS})\s*\)", re.IGNORECASE)
_TYPED: Final = re.compile(
    r"\b(interval|date|timetz|time|timestamptz|timestamp(?:\s+with(?:out)?\s+time\s+zone)?)\s+\0(\d+)\0", re.IGNORECASE
)
_EXTRACT: Final = re.compile("\\bextract\\s*\\(\\s*(\0\\d+\0)\\s+from\\s+", re.IGNORECASE)
# Numbers that are no values: the size of a type, and the position of a column of the answer.
_MODIFIER: Final = re.compile(
    rf"\b(?:numeric|decimal|varchar|char|varying|character|bit|timestamp|time|interval|float)\s*\(\s*{_SLOTS}\s*\)",
    re.IGNORECASE,
)
_POSITIONS: Final = re.compile(
    "\\bby\\s+(?:(?:[^(),\0;]+|\0\\d+\0(?:\\s+(?:asc|desc))?)\\s*,\\s*)*\0\\d+\0", re.IGNORECASE
)
_CALL: Final = re.compile(r"\b\w+\s*\([^()]*\$\d[^()]*\)")
_CAST: Final = re.compile(r"\?(?:::[\w .]+?(?:\[\])?)+(?=[^\w .\[]|\s|$)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value. `source` is its text, `template` that with a parameter, as in "= any ({})"."""

    source: str
    value: Any = None  # a text, a number or a list of them, None if it is not known
    number: int = 0  # of the parameter that the recorded text had there
    template: str = "{}"


@dataclass(frozen=True, slots=True)
class Normalised:
    """A statement with its slots: texts and slots alternate, and it begins and ends with a text."""

    texts: tuple[str, ...]
    slots: tuple[Slot, ...]

    @property
    def key(self) -> str:
        """The SQL with a parameter in each slot: the same for statements that differ only in values."""
        return " ".join(self.sql(lambda _: False)[0].split())

    def sql(self, is_constant: Callable[[int], bool]) -> tuple[str, dict[str, int]]:
        """Return the SQL with `source` in the slots that are constant, and the slot of each parameter by number."""
        pieces, numbers, parameters = [self.texts[0]], dict[tuple[int, int], str](), dict[str, int]()
        for at, (slot, text) in enumerate(zip(self.slots, self.texts[1:], strict=True)):
            if is_constant(at):
                pieces += [slot.source, text]
                continue
            one = (slot.number, 0 if slot.number else at)  # a parameter may be in several slots
            number = numbers.setdefault(one, str(len(numbers) + 1))
            parameters.setdefault(number, at)
            pieces += [slot.template.format(f"${number}"), text]
        return "".join(pieces), parameters


def normalise(sql: str, values: Mapping[int, str | None] | None = None) -> Normalised:
    """Return `sql` with a slot for each value. `values` are those of $1, $2 and so on, as texts."""
    slots: list[Slot] = []

    def slot(each: Slot) -> str:
        slots.append(each)
        return f"\0{len(slots) - 1}\0"

    def restored(match: re.Match[str]) -> str:
        return _SLOT.sub(lambda one: slots[int(one[1])].source, match[0])

    def listed(match: re.Match[str]) -> str:
        members = [slots[int(number)] for number in _SLOT.findall(match[2])]
        known = [each.value for each in members]
        return slot(
            Slot(
                restored(match),
                None if None in known else known,
                template="<> all ({})" if match[1] else "= any ({})",
            )
        )

    def typed(match: re.Match[str]) -> str:
        inner = slots[int(match[2])]
        return slot(replace(inner, source=f"{match[1]} {inner.source}", template=f"{{}}::{match[1]}"))

    def ordinals(match: re.Match[str]) -> str:
        return _SLOT.sub(
            lambda one: each.source if isinstance((each := slots[int(one[1])]).value, int) else one[0], match[0]
        )

    text = "".join(_marked(sql, dict(values or {}), slot)).strip().rstrip(";").rstrip()
    text = _MODIFIER.sub(restored, text)
    text = _POSITIONS.sub(ordinals, text)
    text = _TYPED.sub(typed, text)
    text = _EXTRACT.sub(r"date_part(\1, ", text)
    text = _IN.sub(listed, text)
    pieces = _SLOT.split(text)
    return Normalised(tuple(pieces[::2]), tuple(slots[int(number)] for number in pieces[1::2]))


def fingerprint(sql: str) -> str:
    """Return a text that is the same for a statement of the catalogue and the one from which it was drafted."""
    blank = re.sub(r"%\([^)]*\)s", "$1", sql).replace("%%", "%")
    one = normalise(blank)
    text = "".join(
        part
        for pair in zip(one.texts, [*(each.template.format("?") for each in one.slots), ""], strict=True)
        for part in pair
    )
    return re.sub(r"\s+", "", _CAST.sub("?", text)).lower()


def with_shared_parameters(sql: str) -> str:
    """Return `sql` with the same parameter in calls that differ in its number only.

    pg_stat_statements gives each constant a number of its own, also where GROUP BY repeats an expression.
    """
    first: dict[str, list[str]] = {}

    def shared(match: re.Match[str]) -> str:
        numbers = iter(first.setdefault(_NUMBERED.sub("$", match[0]), _NUMBERED.findall(match[0])))
        return _NUMBERED.sub(lambda _: next(numbers), match[0])

    return _CALL.sub(shared, sql)


def _marked(sql: str, values: Mapping[int, str | None], slot: Callable[[Slot], str]) -> Iterator[str]:
    """Yield the parts of `sql`, with marks of slots in place of values, and without comments."""
    at = 0
    for start, stop in _quoted(sql):
        quoted = sql[start:stop]
        yield from _numbers(sql[at:start], values, slot)
        if quoted.startswith(("--", "/*")):
            yield " "
        elif quoted.startswith('"') or _PREFIX.search(sql, max(start - 2, 0), start):
            yield quoted
        else:
            yield slot(Slot(quoted, _string(quoted)))
        at = stop
    yield from _numbers(sql[at:], values, slot)


def _quoted(sql: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each quotation, with the parts of 'it''s' as one."""
    begin = end = -1
    for part in quotations(sql):
        if part.start == end and sql[part.start] == "'" and sql[begin] in "'eE":
            end = part.stop
            continue
        if begin >= 0:
            yield begin, end
        begin, end = part.start, part.stop
    if begin >= 0:
        yield begin, end


def _numbers(code: str, values: Mapping[int, str | None], slot: Callable[[Slot], str]) -> Iterator[str]:
    at = 0
    for match in _NUMBER.finditer(code):
        before = code[at : match.start()]
        if match[1]:
            yield before + slot(Slot(match[0], values.get(int(match[1])), int(match[1])))
        else:
            # A minus is a part of the number where an operand begins.
            sign = "-" if before.endswith("-") and _OPERAND.search(before) else ""
            whole = match[0].isdecimal()
            value = int(sign + match[0]) if whole else Decimal(sign + match[0])
            yield before.removesuffix(sign) + slot(
                Slot(sign + match[0], value, template="{}" if whole else "{}::numeric")
            )
        at = match.end()
    yield code[at:]


def _string(quoted: str) -> str | None:
    """Return the value of a string, or None if it has escapes."""
    if quoted.startswith("$"):
        tag = quoted[: quoted.index("$", 1) + 1]
        return quoted.removeprefix(tag).removesuffix(tag)
    if quoted[0] in "eE" and "\\" in quoted:
        return None
    return quoted[quoted.index("'") + 1 : -1].replace("''", "'")
