"""The scans of a statement and their parameters, from its generic plan, which PostgreSQL makes without values.

A plan for given values may lack a scan that other values need. The statement is not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg2.extensions import cursor

from cacheaside.catalogue.statements import Statement
from cacheaside.catalogue_check.facts import Scan
from cacheaside.catalogue_check.row_conditions import equalities
from cacheaside.drivers.postgres.introspection.equality import Equality
from cacheaside.drivers.postgres.typed_sql import typed_sql

__all__ = ["Plan", "generic_plan"]

# A scan that the plan leaves out is no proof. These leave out scans that would be one.
_LEAVE_LESS_OUT: Final = "set local constraint_exclusion = off; set local enable_partition_pruning = off"
_EXPLAIN: Final = "explain (generic_plan, verbose, format json, costs off) "

# The conditions that every row of a scan meets. A condition of a join holds only for the rows of the join.
_CONDITIONS: Final = ("Index Cond", "Recheck Cond", "Filter")

# Before PostgreSQL 17 a plan also names values that it computes itself $0, $1 and so on.
_FIRST_NUMBER: Final = 1001

_RELATION: Final = """
select
    pg_class.oid::bigint,
    cacheaside.tag(pg_class.oid),
    array(
        select attname::text from pg_attribute
        join pg_type on pg_type.oid = atttypid
        where attrelid = pg_class.oid and typtype = 'e'
    ),
    array(select attname::text from pg_attribute where attrelid = pg_class.oid and attcollation <> 0)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = %s and relname = %s
"""
# Each table by its tag, with the tables that a scan of it reads: itself, or its partitions, and none if it has none.
_SCANNED: Final = """
select cacheaside.tag(pg_class.oid), case when relkind = 'p' then leaf.relid else pg_class.oid end::bigint, times
from unnest(%s::oid[], %s::integer[]) as reference (relation, times)
join pg_class on pg_class.oid = relation
left join lateral (select relid from pg_partition_tree(relation) where isleaf) as leaf on relkind = 'p'
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement's plan. Relations are OIDs."""

    scans: tuple[Scan, ...]
    scanned: Counter[int]  # how often each relation is scanned

    def unscanned(self, cur: cursor, references: Mapping[int, int]) -> frozenset[str]:
        """Return the tags of the relations that the plan scans in fewer places than the statement names them.

        The planner leaves out what it can prove to be empty or unused: `where false`, an outer join on a unique column,
        a partitioned table without partitions. The proof may end with the next change of the schema.
        """
        cur.execute(_SCANNED, [list(references), list(references.values())])
        required: Counter[tuple[str, int | None]] = Counter()
        for tag, relation, times in cur.fetchall():
            required[tag, relation] += times
        return frozenset(
            tag for (tag, relation), times in required.items() if relation is None or self.scanned[relation] < times
        )


def generic_plan(cur: cursor, sql: str, statement: Statement, equality: Equality) -> Plan:
    """Return the plan of `sql`, which has the placeholders of `statement`, and in which = has this meaning.

    Raises psycopg2.Error if PostgreSQL cannot plan it. PostgreSQL before version 16 cannot plan without values.
    """
    names: list[str] = []

    def number(name: str) -> str:
        names.append(name)
        return f"${_FIRST_NUMBER + len(names) - 1}"

    cur.execute(_LEAVE_LESS_OUT)
    cur.execute(_EXPLAIN + typed_sql(sql, statement.parameters, number))
    [([explained],)] = cur.fetchall()
    cur.execute("reset role")  # that of a function needs no right in the schema cacheaside
    scans: list[Scan] = []
    scanned: Counter[int] = Counter()
    for node in _nodes(explained["Plan"]):
        cur.execute(_RELATION, [node.get("Schema"), node.get("Relation Name")])
        for oid, tag, enums, texts in cur.fetchall():
            conditions = (node[key] for key in _CONDITIONS if key in node)
            equal = {
                (column, names[at - _FIRST_NUMBER])
                for column, at in equalities(conditions, node["Alias"], frozenset(enums))
                if at >= _FIRST_NUMBER and (equality.of_texts if column in texts else equality.of_others)
            }
            scans.append(Scan(tag, frozenset(equal)))
            scanned[oid] += 1
    return Plan(tuple(scans), scanned)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
