"""SQL as it is given, with placeholders `$1` or `%(name)s`, and as the catalogue and PostgreSQL want it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Self

from cacheaside.catalogue.quotations import quotations, unquoted
from local.errors import LocalError

__all__ = ["SourceSql"]

_NAMED: Final = re.compile(r"%\((?P<name>[^)]*)\)s")
_NUMBERED: Final = re.compile(r"(?<![\w$])\$(?P<name>\d+)")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class SourceSql(NamedTuple):
    """One statement. Each piece at an odd position is the name of a placeholder, such as "1" of $1."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one statement. Raises `LocalError`."""
        sql = _one_statement(text)
        style = _NAMED if _NAMED.search(sql) else _NUMBERED
        quoted = list(quotations(sql))
        pieces, at = [], 0
        for match in style.finditer(sql):
            if any(match.start() in part for part in quoted):
                if style is _NAMED:
                    raise LocalError(f"{match[0]} is in quotes or in a comment: write it outside of them")
                continue
            if style is _NAMED and not _NAME.fullmatch(match["name"]):
                raise LocalError(f"{match[0]}: a parameter has a name of letters, digits and _")
            pieces += [sql[at : match.start()], match["name"]]
            at = match.end()
        pieces.append(sql[at:])
        if style is _NAMED:
            pieces[::2] = [piece.replace("%%", "%") for piece in pieces[::2]]
        return cls(tuple(pieces))

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders in the order of their first use. Numbers are in the order of their value."""
        names = list(dict.fromkeys(self.pieces[1::2]))
        return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else names)

    @property
    def numbered(self) -> str:
        """The SQL for PREPARE, with $1 for the first of `names`."""
        numbers = {name: f"${at}" for at, name in enumerate(self.names, 1)}
        return "".join(self._written(lambda text: text, numbers))

    def is_cast(self, name: str) -> bool:
        """Return whether a cast follows each placeholder `name`."""
        after = (self.pieces[at + 1] for at in range(1, len(self.pieces), 2) if self.pieces[at] == name)
        return all(text.lstrip().startswith("::") for text in after)

    def in_catalogue(self, placeholders: Mapping[str, str]) -> str:
        """Return the SQL for the catalogue, with `placeholders` by name, such as %(id)s::integer."""
        return "".join(self._written(lambda text: text.replace("%", "%%"), placeholders))

    def _written(self, plain: Callable[[str], str], placeholders: Mapping[str, str]) -> Iterator[str]:
        for at, piece in enumerate(self.pieces):
            yield placeholders[piece] if at % 2 else plain(piece)


def _one_statement(text: str) -> str:
    rest = unquoted(text).rstrip()
    if rest.endswith(";"):
        text = text[: len(rest) - 1]
        rest = rest[:-1]
    if ";" in rest:
        raise LocalError("there is more than one statement: give one, without what follows the semicolon")
    if not rest.strip():
        raise LocalError("there is no SQL")
    return text.strip()
