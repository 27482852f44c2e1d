"""A small database of every kind of relation, and queries on it as if they were deployed with their tags.

Some names need quotes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cacheaside.catalogue.parameters import Value
from cacheaside.catalogue.tags import resolve_tags, table_of

__all__ = ["ANSWERS", "DECLARED", "DEPLOY", "MEND", "PREPARE", "TENANT", "WATCHED", "WORLD", "Declared"]

TENANT: Final = "ddl_tenant"

# New objects can be read by the query function. `proof.answers` gives all its answers in one round trip.
PREPARE: Final = f"""
create schema "Archive";
create schema proof;
grant usage on schema "Archive", proof to cacheaside_query;
grant all on schema public, "Archive" to {TENANT};
alter default privileges grant usage on schemas to cacheaside_query;
alter default privileges grant select on tables to cacheaside_query;
create function proof.answers(queries text[]) returns setof text language plpgsql as $$
declare
    query  text;
    answer text;
begin
    foreach query in array queries loop
        begin
            execute format(
                'select coalesce(json_agg(answer order by answer::text), ''[]'')::text from (%s) as answer', query
            ) into answer;
        exception when others then
            answer := 'SQLSTATE ' || sqlstate;
        end;
        return next answer;
    end loop;
end
$$;
create function proof.mend(statements text[]) returns void language plpgsql as $$
declare
    statement text;
begin
    foreach statement in array statements loop
        begin
            execute statement;
        exception when others then
            null;  -- it exists already, or what it needs does not
        end;
    end loop;
end
$$;
-- A lock that another session of the same test holds is not released in the meantime.
do $$
declare
    follower regprocedure;
begin
    for follower in select oid from pg_proc where array_to_string(proconfig, ' ') like '%lock_timeout%' loop
        execute format('alter function %s set lock_timeout = 50', follower);
    end loop;
end
$$;
"""
ANSWERS: Final = "select proof.answers(%s)"
MEND: Final = "select proof.mend(%s)"

# Run again between other statements, they create what those dropped.
WORLD: Final = (
    'create schema "Archive"',
    "create type mood as enum ('calm', 'glad')",
    "create type pair as (low integer, high integer)",
    "create domain label as text",
    "create table t (id integer primary key, value text, mood mood default 'calm', note label)",
    """create table "Users" (id integer primary key, value text,
                       t_id integer references t on delete cascade on update cascade)""",
    """create table "user" (id integer primary key, value text, mood mood default 'glad', span pair default '(1,2)')""",
    'create table "h.1:1" (id integer primary key, value text)',
    'create table "h child" () inherits ("h.1:1")',
    'create table "Archive".t (id integer primary key, value text)',
    """create table p (id integer, region text, value text, primary key (id, region)) partition by list (region);
       create table p_a partition of p for values in ('a');
       create table p_rest partition of p default partition by range (id);
       create table p_rest_low partition of p_rest for values from (0) to (100);
       create table p_rest_high partition of p_rest default""",
    'create table "N{1}" (id integer primary key, value text)',
    'create table "n""2" (id integer primary key, value text)',
    "create view v as select id, value from t where id < 5",
    "create view vv as select v.id, v.value, p.value as other from v join p on p.id = v.id",
    'create view over_u as select id, value from "Users"',
    "create materialized view m as select count(*) as id, max(value) as value from t",
    """create function f(wanted integer) returns bigint language sql stable
       begin atomic select count(*) from "Users" where id >= wanted; end""",
    """create function g(wanted integer) returns bigint language plpgsql stable
       as $$ begin return (select count(*) from t where id >= wanted); end $$""",
    "insert into t (id, value) values (1, 'a'), (2, 'b'), (3, 'c') on conflict do nothing",
    """insert into "Users" (id, value, t_id) values (1, 'a', 1), (2, 'b', 2) on conflict do nothing""",
    """insert into "user" (id, value) values (1, 'a'), (2, 'b') on conflict do nothing""",
    """insert into "h.1:1" (id, value) values (1, 'a') on conflict do nothing""",
    """insert into "h child" (id, value) values (2, 'b')""",
    """insert into "Archive".t (id, value) values (1, 'a') on conflict do nothing""",
    "insert into p (id, region, value) values (1, 'a', 'a'), (2, 'b', 'b') on conflict do nothing",
)
WATCHED: Final = ("t", '"Users"', '"user"', '"h.1:1"', '"Archive".t', "p")


@dataclass(frozen=True)
class Declared:
    """A query as deployed. Its tags stay, whatever happens to the database."""

    sql: str
    tags: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.sql % self.values

    @property
    def resolved(self) -> frozenset[str]:
        return frozenset(resolve_tags(self.tags, self.values))


DECLARED: Final = (
    Declared("select * from t", ("t",)),
    Declared("select value from t where id = %(id)s", ("t:{id}",), {"id": 1}),
    Declared("select value, note from t where id = %(id)s", ("t:{id}",), {"id": 2}),
    Declared('select * from "Users"', ('"Users"',)),
    Declared('select t.value, u.value as other from t join "Users" as u on u.t_id = t.id', ("t", '"Users"')),
    Declared('select * from "user"', ('"user"',)),
    Declared('select value from "user" where id = %(id)s', ('"user":{id}',), {"id": 1}),
    Declared('select * from "h.1:1"', ('"h.1:1"',)),
    Declared('select * from "Archive".t', ('"Archive".t',)),
    Declared("select * from p", ("p",)),
    Declared(
        "select value from p where id = %(id)s and region = '%(region)s'",
        ("p:{id},{region}",),
        {"id": 1, "region": "a"},
    ),
    Declared("select * from v", ("t",)),
    Declared("select value from v where id = %(id)s", ("t:{id}",), {"id": 1}),
    Declared("select * from vv", ("t", "p")),
    Declared("select * from over_u", ('"Users"',)),
    Declared("select * from m", ("m",)),
    Declared("select f(1)", ('"Users"',)),
    Declared("select g(1)", ("g", "t")),
)

_TAGS: Final = sorted({table_of(tag) for each in DECLARED for tag in each.tags})
# As the migrate function does after its check.
DEPLOY: Final = f"select cacheaside.declare(array{_TAGS})"
