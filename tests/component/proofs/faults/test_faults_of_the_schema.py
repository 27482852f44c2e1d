"""Changes of the schema: each has an effect, and no row loses its value."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from proofs.chaos.faults.schema import SCHEMA_FAULTS
from proofs.chaos.stack import ChaosStack
from tests.component.support.one_fault import injected

# All that is known of the relations. A change of one changes the transaction that its row is of.
RELATIONS = "select relname, oid, xmin::text from pg_class where relname like 'register%' and relkind <> 'i'"
VALUES = "select id, value from register_view order by id"


@pytest.mark.parametrize("name", [*(fault.name for fault in SCHEMA_FAULTS), "a migration while requests go on"])
def test_change_of_the_schema_happens_and_keeps_the_values(stack: ChaosStack, name: str) -> None:
    before, values = asked(stack, RELATIONS), asked(stack, VALUES)
    with injected(stack, name):
        pass
    assert asked(stack, RELATIONS) != before
    after = asked(stack, VALUES)
    assert len(after) == len(values)
    assert all(new[1] >= old[1] for new, old in zip(after, values, strict=True))


def asked(stack: ChaosStack, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(stack.owner_url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return sorted(cursor.fetchall())
