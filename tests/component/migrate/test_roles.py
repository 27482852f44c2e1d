"""The rights of each role: a table of allowed statements, and one of refused ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from migrate.upgrade import upgrade

Connect = Callable[..., Connection]

OUTBOX = ["outbox", "listener", "cache", "idempotency_keys"]
READ = ["customers", "products", "orders", "order_items"]
ALLOWED = [
    *(("cacheaside_query", f"select * from {table}") for table in READ),
    ("cacheaside_query", "select * from added_later"),
    ("cacheaside_query", "select * from cacheaside.described"),
    ("cacheaside_query", "select cacheaside.limits(9000, 1000, read_only => true)"),
    ("cacheaside_query", "select cacheaside.take_slot(1)"),
    ("cacheaside_command", "select cacheaside.limits(9000, 1000)"),
    ("cacheaside_command", "select cacheaside.set_local('lock_timeout', '0')"),
    ("cacheaside_command", "select cacheaside.before_commit()"),
    ("cacheaside_command", "select cacheaside.run_command('select 1')"),
    ("cacheaside_command", "insert into orders (customer_id) select 1 where false"),
    ("cacheaside_command", "update products set price = 1 where id = 1"),
    ("cacheaside_command", "insert into cacheaside.idempotency_keys (key, fingerprint) values ('a', 'b')"),
    ("cacheaside_command", "update cacheaside.idempotency_keys set answer = '{}' where key = 'a'"),
    ("cacheaside_command", "select change from cacheaside.outbox where transaction_id = '1'"),
    ("cacheaside_command", "select from cacheaside.outbox for update skip locked"),
    ("cacheaside_command", "update cacheaside.outbox set drained_at = now()"),
    ("cacheaside_invalidate", "select from cacheaside.outbox for update skip locked"),
    ("cacheaside_invalidate", "update cacheaside.outbox set drained_at = null"),
    ("cacheaside_invalidate", "insert into cacheaside.outbox (change) values ('products')"),
    ("cacheaside_invalidate", "delete from cacheaside.outbox"),
    ("cacheaside_invalidate", "update cacheaside.listener set listening_until = now()"),
    ("cacheaside_invalidate", "select replication_ids from cacheaside.cache for update"),
    ("cacheaside_invalidate", "update cacheaside.cache set replication_ids = 'a'"),
    ("cacheaside_invalidate", "delete from cacheaside.idempotency_keys where created_at < now()"),
]
REFUSED = [
    *(("cacheaside_query", f"delete from {table}") for table in READ),
    ("cacheaside_query", "update products set price = 1"),
    ("cacheaside_query", "create table mine ()"),
    ("cacheaside_query", "select cacheaside.run_command('select 1')"),
    ("cacheaside_query", "select * from cacheaside.migrations"),
    ("cacheaside_query", "delete from cacheaside.described"),
    ("cacheaside_query", "select cacheaside.record('products')"),
    ("cacheaside_query", "select cacheaside.record_unrecorded()"),
    ("cacheaside_query", "select cacheaside.before_commit()"),
    ("cacheaside_query", "select cacheaside.follow()"),
    ("cacheaside_query", "select cacheaside.declare('{}')"),
    ("cacheaside_query", "select cacheaside.watch('products')"),
    ("cacheaside_query", "select cacheaside.unwatch('products')"),
    *(("cacheaside_query", f"select * from cacheaside.{table}") for table in OUTBOX),
    ("cacheaside_command", "select cacheaside.take_slot(1)"),
    ("cacheaside_command", "select * from customers"),
    ("cacheaside_command", "update products set name = ''"),
    ("cacheaside_command", "delete from orders"),
    ("cacheaside_command", "select cacheaside.run_command('delete from orders returning id')"),
    ("cacheaside_command", "create table mine ()"),
    ("cacheaside_command", "truncate order_items"),
    ("cacheaside_command", "insert into cacheaside.outbox (change) values ('products')"),
    ("cacheaside_command", "update cacheaside.outbox set change = 'orders'"),
    ("cacheaside_command", "delete from cacheaside.outbox"),
    ("cacheaside_command", "update cacheaside.listener set listening_until = now()"),
    ("cacheaside_command", "select * from cacheaside.cache"),
    ("cacheaside_command", "update cacheaside.idempotency_keys set fingerprint = ''"),
    ("cacheaside_command", "delete from cacheaside.idempotency_keys"),
    *(("cacheaside_invalidate", f"select * from {table}") for table in READ),
    ("cacheaside_invalidate", "update cacheaside.outbox set change = 'orders'"),
    ("cacheaside_invalidate", "insert into cacheaside.idempotency_keys (key, fingerprint) values ('a', 'b')"),
    ("cacheaside_invalidate", "delete from cacheaside.listener"),
    ("cacheaside_invalidate", "select cacheaside.run_command('select 1')"),
    ("cacheaside_invalidate", "create table cacheaside.mine ()"),
]


@pytest.fixture
def act(connect: Connect) -> Callable[[str, str], None]:
    owner = connect()
    upgrade(owner)
    with owner, owner.cursor() as cursor:
        cursor.execute("create table added_later ()")

    def act(role: str, statement: str, *, guarded: bool = False) -> None:
        connection = connect(role)
        connection.autocommit = True
        with connection.cursor() as cursor:
            if not guarded:
                cursor.execute("set default_transaction_read_only = off")
            cursor.execute(statement)

    return act


def test_allowed(act: Any) -> None:
    for role, statement in ALLOWED:
        act(role, statement)


def test_refused(act: Any) -> None:
    for role, statement in REFUSED:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            act(role, statement)


def test_query_role_reads_only_even_what_it_is_granted(act: Any) -> None:
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        act("cacheaside_query", "create temporary table mine ()", guarded=True)
