"""For each table that a query reads: whether a tag of its rows would do, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import table_of
from cacheaside.catalogue_check.facts import DatabaseObject, Facts, ObjectKind
from cacheaside.catalogue_check.tag_rules import row_objection

__all__ = ["RowTag", "row_tags"]


class RowTag(NamedTuple):
    """A table, the tag of its rows that was looked at, whether the query declares it, and what speaks against it."""

    table: str
    tag: str | None
    declared: bool
    objection: str | None


def row_tags(query: Query, facts: Facts) -> Iterator[RowTag]:
    """Yield one for each table that is read. There is nothing to tell if its role lacks rights: nothing was planned."""
    tags = [*query.tags]
    for each in facts.read.values():
        declared = [tag for tag in query.tags if table_of(tag) == each.tag and tag != each.tag]
        if each.kind is not ObjectKind.TABLE:
            yield RowTag(each.tag, None, declared=False, objection=f"{each.tag} is a {each.kind.value}")
        elif declared:
            yield from (RowTag(each.tag, tag, True, row_objection(tag, tags, query, facts)) for tag in declared)
        elif tag := _candidate(each, query, facts):
            yield RowTag(each.tag, tag, False, row_objection(tag, [tag], query._replace(tags=(tag,)), facts))
        else:
            key = ", ".join(f"{part.name} {part.type}" for part in each.key)
            why = f"no parameter can be its primary key ({key})" if key else f"{each.tag} has no primary key"
            yield RowTag(each.tag, None, declared=False, objection=why)


def _candidate(table: DatabaseObject, query: Query, facts: Facts) -> str | None:
    """Return the tag with the likeliest parameters: those that the scans compare with the key, or of its names."""
    equal = [scan.equal for scan in facts.scans if scan.tag == table.tag]
    single = [name for name, each in query.parameters.items() if not each.is_list and not each.claim]
    names = []
    for part in table.key:
        scans = {name: sum((part.name, name) in each for each in equal) for name in single}
        best = max(single, key=lambda name: (scans[name], name == part.name), default=None)
        if best is None or not (scans[best] or best == part.name):
            return None
        names.append(best)
    return f"{table.tag}:{','.join(f'{{{name}}}' for name in names)}" if names else None
