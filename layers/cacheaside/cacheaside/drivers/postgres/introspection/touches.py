"""Statements that change nothing and yet invalidate the tags of a query: with them anybody sees how a write is noticed.

orders            update orders set id = id where id = (select id from orders limit 1)
products:{id}     update products set id = id where id = {id}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import parameters_of, table_of

__all__ = ["Touches"]

# A table whose changes are recorded, with the columns of its key and a column that can be set, if possible of the key.
_TABLE: Final = """
select
    array(select quote_ident(name) from cacheaside.key_columns(relation) order by number),
    array(
        select type = any (array['smallint', 'integer', 'bigint', 'boolean']::regtype[])
        from cacheaside.key_columns(relation)
        order by number
    ),
    quote_ident(attname)
from cacheaside.relation_of(%(tag)s) as relation
join pg_class on pg_class.oid = relation
join pg_attribute on attrelid = relation
left join cacheaside.key_columns(relation) as key on name = attname
where relkind in ('r', 'p')
  and exists (select from cacheaside.watched where tag = %(tag)s and complete)
  and attnum > 0 and not attisdropped and attgenerated = '' and attidentity <> 'a'
order by number, attnum
limit 1
"""


class Touches:
    """Finds the statements. Each table is looked up once: a catalogue names the same tables again and again."""

    def __init__(self, cur: cursor) -> None:
        self._cur = cur
        self._tables: dict[str, list[tuple[list[str], list[bool], str]]] = {}

    def of(self, query: Query) -> dict[str, str]:
        """Return a statement by tag. There is none for what is behind a view or a function. Raises psycopg2.Error.

        In that of a row, a parameter's name in braces is to be replaced by its value. A literal that needs quotes has
        them.
        """
        found: dict[str, str] = {}
        for tag in query.tags:
            table, parameters = table_of(tag), parameters_of(tag)
            for key, is_plain, column in self._table(table):
                if len(parameters) not in (0, len(key)) or "{" in "".join([table, column, *key]):
                    continue
                condition = _row(key, is_plain, parameters) if parameters else _any_row(table, key)
                found[tag] = f"update {table} set {column} = {column} where {condition}"  # noqa: S608  # quoted names
        return found

    def _table(self, tag: str) -> list[tuple[list[str], list[bool], str]]:
        if tag not in self._tables:
            self._cur.execute(_TABLE, {"tag": tag})
            self._tables[tag] = self._cur.fetchall()
        return self._tables[tag]


def _row(key: Sequence[str], is_plain: Sequence[bool], parameters: Sequence[str]) -> str:
    values = (f"{{{name}}}" if plain else f"'{{{name}}}'" for name, plain in zip(parameters, is_plain, strict=True))
    return " and ".join(f"{column} = {value}" for column, value in zip(key, values, strict=True))


def _any_row(table: str, key: Sequence[str]) -> str:
    columns = ", ".join(key) or "ctid"
    return f"{f'({columns})' if len(key) > 1 else columns} = (select {columns} from {table} limit 1)"  # noqa: S608  # as before
