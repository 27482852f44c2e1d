"""Does `=` in a statement say that two values have the same text, as a tag of a row needs it?

EXPLAIN prints each of these as `=`, and a row with another key may be equal:

    email = %(email)s collate case_insensitive     a collation in which different texts are equal
    mood = %(mood)s                                an operator that a user has created for enums or types of PostgreSQL
"""

from __future__ import annotations

from typing import Final, NamedTuple

from psycopg2.extensions import cursor

from cacheaside.drivers.postgres.introspection.expansion import Expansion

__all__ = ["Equality", "equality"]

_LOOSE: Final = """
select
    coalesce(bool_or(not collisdeterministic), false),
    coalesce(bool_or(
        oprnamespace <> 'pg_catalog'::regnamespace
        and exists (
            select from pg_type
            where pg_type.oid in (oprleft, oprright) and (typnamespace = 'pg_catalog'::regnamespace or typtype = 'e')
        )
    ), false)
from unnest(%s::oid[], %s::oid[]) as compared (operator_oid, collation_oid)
join pg_operator on pg_operator.oid = operator_oid
left join pg_collation on pg_collation.oid = collation_oid
where oprname = '='
"""


class Equality(NamedTuple):
    """Whether values that are equal have the same text: of types with a collation, and of all others."""

    of_texts: bool
    of_others: bool


def equality(cur: cursor, found: Expansion) -> Equality:
    """Return what `=` means in a statement. A single other meaning counts for all of it."""
    operators, collations = zip(*found.comparisons, strict=True) if found.comparisons else ((), ())
    cur.execute(_LOOSE, [list(operators), list(collations)])
    [(loose_collation, own_operator)] = cur.fetchall()
    return Equality(not loose_collation and not own_operator, not own_operator)
