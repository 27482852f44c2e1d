"""The descriptions of statements in the table `cacheaside.described`: written at deployment, read for the documents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.columns import Column, Described, RowTypes, fingerprint, place_of
from cacheaside.catalogue.statements import Statement

__all__ = ["read_described", "write_described"]

_READ: Final = """
select place, columns, touches
from unnest(%s::text[], %s::text[]) as asked (place, fingerprint)
join cacheaside.described using (place, fingerprint)
"""
_WRITE: Final = """
insert into cacheaside.described (place, fingerprint, columns, touches)
select * from json_to_recordset(%s) as given (place text, fingerprint text, columns json, touches json)
on conflict (place, fingerprint) do update
set columns = excluded.columns, touches = excluded.touches, described_at = excluded.described_at
"""
# Former code runs on during a canary, and again after a rollback. Of so many versions it finds its own descriptions.
_VERSIONS: Final = 10
_FORGET: Final = """
delete from cacheaside.described
using (
    select place, fingerprint, row_number() over (partition by place order by described_at desc) as version
    from cacheaside.described
) as ranked
where (described.place, described.fingerprint) = (ranked.place, ranked.fingerprint) and version > %s
"""


def read_described(cur: cursor, statements: Iterable[Statement]) -> RowTypes:
    """Return the descriptions of these statements that the last deployments wrote.

    Raises psycopg2.Error, or ValueError if the rows are not descriptions.
    """
    keys = [(place_of(each), fingerprint(each)) for each in statements]
    cur.execute(_READ, [[place for place, _ in keys], [print_ for _, print_ in keys]])
    rows = cur.fetchall()
    try:
        return {place: Described(tuple(Column(*each) for each in columns), touches) for place, columns, touches in rows}
    except TypeError as error:
        raise ValueError("not descriptions of statements") from error


def write_described(cur: cursor, described: Iterable[tuple[Statement, Described]]) -> None:
    """Write descriptions, and delete those of versions that no code runs any more. Raises psycopg2.Error."""
    rows = [
        {"place": place_of(statement), "fingerprint": fingerprint(statement), **each._asdict()}
        for statement, each in described
    ]
    cur.execute(_WRITE, [json.dumps(rows)])
    cur.execute(_FORGET, [_VERSIONS])
