"""Tags: the tables and rows that an answer depends on, such as `orders`, or `products:{id}` for one row.

    a query declares       its answers depend on            a change of            invalidates
    orders                 orders                           orders (any rows)      orders, orders:*
    products:{id}          products:42, products:*          products:42 (a row)    products:42, products

So a change of many rows need not list them, and a change of one row keeps the answers about other rows in the cache.

A table is written as PostgreSQL prints it, with its schema if that is not public: `orders`, `sales.region`, `"user"`,
`"InvoiceLine":{id}`, `"Sales"."Order Lines"`. In quotes, a dot, a colon or a brace is a part of the name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Final

from cacheaside.catalogue.parameters import Parameter, Value, canonical

__all__ = [
    "CHANGE_PATTERN",
    "TAGS_AT_MOST",
    "changed_tags",
    "check_tag",
    "parameters_of",
    "resolve_tags",
    "spellings",
    "table_of",
]

# Every tag is one more key in the round trip of a hit.
TAGS_AT_MOST: Final = 8

# Other spellings than PostgreSQL's are accepted here, and are reported by the check: it knows what names exist.
_QUOTED: Final = r'"(?:[^"\x00]|"")+"'
_PART: Final = rf"(?:[^\W\d][\w$]*|{_QUOTED})"
_PARAMETER: Final = r"\{([A-Za-z_][A-Za-z0-9_]*)\}"
_PLACEHOLDER: Final = re.compile(_PARAMETER)
_TAG: Final = re.compile(rf"{_PART}(?:\.{_PART})?(?::{_PARAMETER}(?:,{_PARAMETER})*)?")
_SIMPLE: Final = "[a-z_][a-z0-9_$]*"
_PRINTED: Final = rf"(?:{_SIMPLE}|{_QUOTED})"
_CHANGE: Final = re.compile(rf"({_PRINTED})(?:\.({_PRINTED}))?(:[\s\S]{{0,512}})?")
# The same for JSON Schema.
CHANGE_PATTERN: Final = f"^{_CHANGE.pattern}$"
_MAY_BE_QUOTED: Final = re.compile(f'"?({_SIMPLE})"?')
_NOTATION: Final = (
    'write a table as PostgreSQL prints it, orders or sales.region or "InvoiceLine", or a row of one, products:{id}'
)
# Up to the first colon that is not in quotes.
_BEFORE_KEY: Final = re.compile(r'(?:[^":]|"[^"]*")*')

# A longer key is not recorded: its row is recorded as the table (cacheaside.record, which counts bytes).
_KEY_AT_MOST: Final = 512

# More changed rows of one table than this invalidate the whole table: that is less work for the cache.
_ROWS_AT_MOST: Final = 1_000


def check_tag(tag: object, parameters: Mapping[str, Parameter]) -> None:
    """Raise ValueError, with a correction, unless `tag` is a table or a row whose key is declared parameters."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} is not a tag; {_NOTATION}")
    for name in parameters_of(tag):
        parameter = parameters.get(name)
        if parameter is None:
            raise ValueError(f"tag {tag!r} names the parameter {name}, which is not declared")
        if parameter.is_list or (not parameter.required and parameter.default is None):
            raise ValueError(f"tag {tag!r} needs the parameter {name} to be one value that is always there")
        if parameter.claim:  # the name of a key of the cache would tell who has asked
            raise ValueError(f"tag {tag!r} names the parameter {name}, which is a claim; write {table_of(tag)!r}")


def spellings(text: str) -> list[str]:
    """Return the changes that a person means by `text`, a table or a row of one. There are none if it is neither.

    PostgreSQL prints one of them: `public` is left out, and whether `user` has quotes is for its key words to decide.
    """
    match = _CHANGE.fullmatch(text)
    if match is None:
        return []
    first, second, key = match.groups(default="")
    names = [first, second] if second else [first]
    if second and first.strip('"') == "public":
        names = [second]
    return [".".join(parts) + key for parts in product(*map(_quoted_or_not, names))]


def table_of(tag: str) -> str:
    """Return the table of a tag or change: `products` of `products:42`."""
    table = tag.partition(":")[0]
    if '"' not in table:
        return table
    before = _BEFORE_KEY.match(tag)
    return before[0] if before else table


def parameters_of(tag: str) -> list[str]:
    """Return the parameters in a declared tag of a row, in the order of the key. There are none in that of a table."""
    return _PLACEHOLDER.findall(tag, len(table_of(tag)))


_declared_table: Final = lru_cache(maxsize=1_000)(table_of)


def resolve_tags(tags: Sequence[str], values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the tags that an answer depends on: with parameter values, and `table:*` after each tag of a row.

    `order_items:{order_id},{line}` becomes `order_items:7,1` and `order_items:*`; with a key that is too long to be
    recorded it becomes `order_items:*`.
    """
    resolved: dict[str, None] = {}
    for tag in tags:
        table = _declared_table(tag)
        if table == tag:
            resolved[tag] = None
            continue
        key = _PLACEHOLDER.sub(lambda match: _text(values[match[1]]), tag[len(table) :])
        if len(key) <= len(":") + _KEY_AT_MOST:
            resolved[table + key] = None
        resolved[_any_row_of(table)] = None
    return tuple(resolved)


def changed_tags(changes: Iterable[str]) -> tuple[str, ...]:
    """Return the tags to invalidate for `changes`, each a table or a row of one. No tag occurs twice."""
    rows: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        rows[table_of(change)].add(change)
    tags: list[str] = []
    for table, changed in rows.items():
        if table in changed or len(changed) > _ROWS_AT_MOST:
            tags += [table, _any_row_of(table)]
        else:
            tags += [table, *sorted(changed)]
    return tuple(tags)


def _quoted_or_not(name: str) -> tuple[str, ...]:
    simple = _MAY_BE_QUOTED.fullmatch(name)
    return (simple[1], f'"{simple[1]}"') if simple else (name,)


def _any_row_of(table: str) -> str:
    return f"{table}:*"


def _text(value: Value) -> str:
    text = canonical(value)
    return str(text).lower() if isinstance(text, bool) else str(text)
