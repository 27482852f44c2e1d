"""Statements that change a small database (`ddl_world`), drawn at random. Its cached answers must survive them.

A placeholder in braces stands for one of the names of its kind. Many statements are impossible when their turn comes:
PostgreSQL refuses them, and the next one follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.component.support.ddl_world import MEND, TENANT

__all__ = ["ALONE", "FOCUSES", "RESTORE", "WRITES", "Focus", "statements"]

_TABLES: Final = (
    *("t", "t", "t", "t", '"Users"', '"user"', '"h.1:1"', '"h child"', '"Archive".t', '"Archive"."N{1}"'),
    *("p", "p_a", "p_rest", '"N{1}"', '"N{1}"', '"n""2"', '"ñ3"', "n4"),
)
_VIEWS: Final = ("v", "v", "vv", "over_u", "t", "t", '"N{1}"')
# `new` is mostly free, `other` and `table` mostly exist.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "table": _TABLES,
    "other": _TABLES,
    "view": _VIEWS,
    "relation": (*_TABLES, "v", "over_u", "m"),
    "new": (
        *('"ñ3"', "n4", '"N 5"', '"N{1}"', "t", '"Users"', '"user"', "v", "m"),
        *('"Archive".t', '"Archive"."N{1}"'),
    ),
    "part": ("p_a", "p_rest", "p_rest_low", '"N{1}"', '"n""2"', '"ñ3"', "n4", "t"),
    "whole": ("p", "p", "p", "p_rest", '"N{1}"'),
    "key": ("1", "1", "2", "3", "7"),
    "value": ("x", "y", "z", "w"),
    "column": ("value", "value", "value", "id", "note", "mood"),
    "bounds": ("in ('c')", "in ('a')", "from (0) to (10)", "from (200) to (300)"),
    "schema": ("public", '"Archive"', '"Archive"'),
    "persistence": ("unlogged", "logged"),
}

CREATES: Final = (
    "create table {new} (id integer primary key, value text)",
    "create table {new} (id integer, value text)",
    "create table {new} (value text primary key, id integer)",
    "create unlogged table {new} (id integer primary key, value text)",
    "create table {new} (like {table} including all)",
    "create table {new} as select * from {relation}",
    "select * into {new} from {relation}",
    "create table {new} () inherits ({table})",
    "create table {new} partition of {whole} for values {bounds}",
    "create table {new} (id integer primary key, value text) partition by range (id);"
    "create table {new.rest} partition of {new} default",
    "create table {new} partition of p for values in ('c') partition by range (id);"
    "create table {new.rest} partition of {new} default",
)
NAMES_TAKEN: Final = (
    "alter table {relation} rename to {new.bare}",
    "alter table {relation} set schema {schema}",
    "alter table {table} rename to swapped; alter table {other} rename to {table.bare};"
    "alter table swapped rename to {other.bare}",
    "create table swapped (like {table} including all); insert into swapped select * from {table};"
    "drop table {table} cascade; alter table swapped rename to {table.bare}",
    "alter table {table} rename to {new.bare}; create table {table} (id integer primary key, value text)",
    "alter table {table} rename to {new.bare}; create view {table} as select * from {new.bare}",
    "drop table {table} cascade; create view {table} as select id, value from {other}",
    "drop view {view} cascade; alter table {table} rename to {view.bare}",
    "drop view {view} cascade; create table {view} (id integer primary key, value text)",
    'alter schema "Archive" rename to attic',
    'alter schema "Archive" rename to attic; create schema "Archive"; '
    'create table "Archive".t (id integer, value text)',
    'drop schema "Archive" cascade; alter schema attic rename to "Archive"',
    'drop schema "Archive" cascade',
    "alter schema public rename to side; create schema public",
    "drop schema public cascade; alter schema side rename to public",
    "drop table {table}",
    "drop table {table} cascade",
    "drop table {table}, {other} cascade",
    f"alter table {{table}} owner to {TENANT}; drop owned by {TENANT} cascade",
    f"alter table {{table}} owner to {TENANT}",
)
VIEWS: Final = (
    "create or replace view {view} as select id, value from {relation}",
    "create or replace view {view} as select id, value from {relation} where id > 1",
    "create or replace view {view} as select 1 as id, 'fixed' as value",
    "create view {new} as select id, value from {relation}",
    "drop view {view} cascade",
    "drop view {view} cascade; create view {view} as select id, value from {relation}",
    "alter view {view} rename to {new.bare}",
    "alter view {view} rename column value to former",
    "alter view {view} set schema {schema}",
    "alter view {view} set (security_invoker = true)",
    "refresh materialized view m",
    "refresh materialized view m with no data",
    "create unique index on m (id)",
    "refresh materialized view concurrently m",
    "drop materialized view m; create materialized view m as select id, value from {relation}",
    "alter materialized view m rename to former; create materialized view m as select id, value from {relation}",
    "alter materialized view m rename to {new.bare}; create view m as select id, value from {relation}",
    "alter materialized view m rename column value to former",
    "alter table t drop column value cascade",
    "alter table t drop column value cascade; alter table t add column value text default '{value}';"
    "create materialized view m as select id, value from t",
)
PARTS: Final = (
    "alter table {whole} attach partition {part} for values {bounds}",
    "alter table {whole} attach partition {part} default",
    "alter table {whole} detach partition {part}",
    "alter table {whole} detach partition {part}; insert into {part} values (7, 'a', 'x')",
    "alter table {table} inherit {other}",
    "alter table {table} no inherit {other}",
    'alter table "h child" no inherit "h.1:1"',
    'alter table "h child" inherit "h.1:1"',
)
COLUMNS: Final = (
    "alter table {table} add column extra text default '{value}'",
    "alter table {table} drop column {column} cascade",
    "alter table {table} rename column {column} to former",
    "alter table {table} rename column value to former; alter table {table} rename column note to value",
    "alter table {table} alter column {column} type varchar(1) using 'k'",
    "alter table {table} alter column value type text using value || '{value}'",
    "alter table {table} drop constraint {table.pkey} cascade",
    "alter table {table} drop constraint {table.pkey} cascade, add primary key (value)",
    "alter table {table} set {persistence}",
    "alter table {table} add foreign key (id) references {other} on delete cascade on update cascade",
    "drop type mood cascade",
    "alter type mood rename value 'calm' to 'still'",
    "alter type mood rename value 'still' to 'calm'",
    "alter type pair rename attribute low to least cascade",
    "alter type pair add attribute middle integer cascade",
    "alter type pair drop attribute high cascade",
    "drop type pair cascade",
    "drop domain label cascade",
)
CODE: Final = (
    """create or replace function f(wanted integer) returns bigint language sql stable
       begin atomic select count(*) from {relation} where id >= wanted; end""",
    "create or replace function f(wanted integer) returns bigint language sql begin atomic select 7::bigint; end",
    """create or replace function f(wanted integer) returns bigint language plpgsql stable
       as $$ begin return (select count(*) from {relation} where id >= wanted); end $$""",
    """create or replace function f(wanted bigint) returns bigint language sql stable
       begin atomic select sum(id)::bigint from "Users" where id >= wanted; end""",
    "drop function f(bigint) cascade",
    "drop function f(integer) cascade",
    "alter function f(integer) rename to former",
    """create or replace function g(wanted integer) returns bigint language plpgsql stable
       as $$ begin return (select sum(id) from t); end $$""",
    "drop function g(integer) cascade",
    "alter table {table} enable row level security",
    "alter table {table} disable row level security",
    "create policy seen on {table} using (id = {key})",
    "alter policy seen on {table} using (id <> {key})",
    "drop policy seen on {table}",
    "create policy seen on {table} using (exists (select from {other} where id = {key}))",
    "alter table {table} disable trigger all",
    "alter table {table} enable trigger all",
)
WRITES: Final = (
    "insert into {relation} (id, value) values ({key}, '{value}')",
    "insert into {relation} (id, value) values ({key}, '{value}') on conflict (id) do update set value = '{value}!'",
    "insert into {table} (id, value) select n, '{value}' from generate_series(10, 120) as n",
    "insert into p (id, region, value) values ({key}, 'a', '{value}'), ({key}, 'c', '{value}')",
    """insert into "Users" (id, value, t_id) values ({key}, '{value}', {key})""",
    "update {relation} set value = '{value}' where id = {key}",
    "update {relation} set value = value || '{value}'",
    "update {relation} set id = id + 20 where id = {key}",
    "update {table} set value = o.value || '+' from {other} as o where o.id = {table}.id",
    "update p set region = 'b', value = '{value}' where id = {key}",
    "update only {table} set value = '{value}'",
    "delete from {relation} where id = {key}",
    "delete from {table} where id >= 10",
    "truncate {table}",
    "truncate {table} cascade",
    "truncate only {table}",
    "copy {table} (id, value) from program 'echo {key},{value}' with (format csv)",
    "merge into {table} as o using (values ({key}, '{value}')) as given (id, value) on o.id = given.id "
    "when matched then update set value = given.value when not matched then insert (id, value) values (given.id, 'm')",
    "with gone as (delete from {table} where id = {key} returning id, value) "
    "insert into {other} (id, value) select id + 30, value from gone",
    "set local session_replication_role = replica; update {relation} set value = '{value}' where id = {key};"
    "set local session_replication_role = origin",
    "do $$ begin update {table} set value = '{value}'; begin delete from {other}; raise 'undo'; "
    "exception when raise_exception then null; end; end $$",
)

# These cannot run in a transaction of several statements. RESTORE is done by pg_dump and psql.
RESTORE: Final = "restore"
ALONE: Final = ("alter table {whole} detach partition {part} concurrently", RESTORE + " {table}", MEND)


class _Name(str):
    """A name, with its schema if that is not public, and names made of it. `bare` is the last part of it."""

    @property
    def bare(self) -> str:
        return self.removeprefix('"Archive".')

    @property
    def rest(self) -> str:
        return _ended(self, "_rest")

    @property
    def pkey(self) -> str:
        return _ended(self.bare, "_pkey")


def _ended(name: str, suffix: str) -> str:
    return f'{name[:-1]}{suffix}"' if name.endswith('"') else name + suffix


_GROUPS: Final = (CREATES, NAMES_TAKEN, VIEWS, PARTS, COLUMNS, CODE)


@dataclass(frozen=True)
class Focus:
    """The names and kinds of statements of one example: few, so that its statements meet."""

    names: frozenset[str]
    groups: tuple[tuple[str, ...], ...]

    def names_of(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in _NAMES[kind] if name in self.names) or _NAMES[kind]


_FREE: Final = frozenset(('"ñ3"', "n4", '"N 5"'))
FOCUSES: Final = st.builds(
    Focus,
    st.frozensets(st.sampled_from((*_TABLES, *_VIEWS, "m")), min_size=1, max_size=3).map(lambda names: names | _FREE),
    st.permutations(_GROUPS).map(lambda groups: tuple(groups[:2])),
)


@st.composite
def statements(draw: st.DrawFn, *templates: str) -> str:
    """Return one of `templates`, or of those in the machine's focus, with names that are in its focus."""
    focus: Focus = draw(st.runner()).focus
    template = draw(st.sampled_from(templates or draw(st.sampled_from(focus.groups))))
    kinds = sorted(set(re.findall(r"\{([a-z]+)", template)))
    return template.format_map({kind: _Name(draw(st.sampled_from(focus.names_of(kind)))) for kind in kinds})
