"""Commands: each is one transaction, is retried after a conflict, and invalidates its changes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.fault_proxy import Fault, fault_proxy
from cacheaside.catalogue.parameters import Parameter
from tests.component.support.simultaneous_calls import call_simultaneously
from tests.component.support.sql import Sql
from tests.support.problem_document import check_problem

_fork = multiprocessing.get_context("fork")

PENDING = "select change from cacheaside.outbox where drained_at is null"


@pytest.fixture(autouse=True)
def tables(sql: Sql) -> Iterator[None]:
    """Tables that the commands of these tests write, and an empty outbox."""
    sql("truncate cacheaside.outbox, cacheaside.idempotency_keys")
    sql("create table notes (id integer generated always as identity, text text)")
    sql("grant select, insert, update on notes to cacheaside_command")
    sql("create sequence attempts")
    sql("grant usage on attempts to cacheaside_command")
    yield
    sql("drop table notes cascade")
    sql("drop sequence attempts cascade")


def with_command(api: Any, sql: str, *parameters: str, **changes: Any) -> Callable[..., Any]:
    """Add a command to the catalogue of the running function. Returns a function that calls it."""
    commands = api.module("CommandFunction").catalogue.commands
    declared = {name: Parameter(name=name, type="text") for name in parameters}
    commands["added"] = commands["set_price"]._replace(name="added", sql=sql, parameters=declared, **changes)
    return lambda **values: api.post("/commands/added", values)


def call_after_commit(api: Any, action: Callable[[], object]) -> None:
    """Call `action` when a command has committed, before its changes are looked up and invalidated."""
    commands = api.module("CommandFunction").writer._database
    changes = commands.changes

    def act_first(transaction_id: str) -> list[str]:
        action()
        return list(changes(transaction_id))

    commands.changes = act_first


def test_done_is_true_before_a_swapped_table_has_triggers(api: Any, sql: Sql) -> None:
    sql("alter event trigger cacheaside_follow_schema disable")
    sql("create table swapped (like products including all)")
    sql("insert into swapped overriding system value select * from products")
    sql("begin; alter table products rename to former; alter table swapped rename to products; commit")
    try:
        sql("grant select, update on products to cacheaside_command")
        api.get("/queries/product?id=42")
        assert api.post("/commands/set_price", {"id": 42, "price": 8}).json["invalidation"] == "done"
        assert sql("select count(*) from cacheaside.recorded where part = 'products'::regclass") == [(0,)]
        assert api.get("/queries/product?id=42").json["data"]["price"] == 8
    finally:
        sql("drop table products; alter table former rename to products")
        sql("alter event trigger cacheaside_follow_schema enable always; select cacheaside.follow()")


def test_changes_of_a_command_are_drained_when_it_answers_done(api: Any, sql: Sql) -> None:
    assert api.post("/commands/set_price", {"id": 42, "price": 7}).json["invalidation"] == "done"
    assert sql("select change, drained_at is null from cacheaside.outbox") == [("products:42", False)]


def test_command_that_returns_no_row_still_invalidates_its_changes(api: Any, sql: Sql) -> None:
    call = with_command(
        api, "with changed as (update products set price = 8 where id = 42) select 1 as one where false"
    )
    api.get("/queries/product?id=42")
    check_problem(call(), 404)
    assert "fwd=miss" in api.get("/queries/product?id=42").cache_status
    assert sql(PENDING) == []


def test_change_of_a_deferred_trigger_is_invalidated_too(api: Any, sql: Sql) -> None:
    sql("""create function reprice() returns trigger language plpgsql
           as 'begin update products set price = price + 1 where id = 41; return null; end'""")
    sql("""create constraint trigger reprice after insert on notes
           deferrable initially deferred for each row execute function reprice()""")
    try:
        before = api.get("/queries/product?id=41").json["data"]["price"]
        assert with_command(api, "insert into notes default values returning id")().json["invalidation"] == "done"
        assert api.get("/queries/product?id=41").json["data"]["price"] == before + 1
    finally:
        sql("drop function reprice cascade")


def test_command_with_many_changes_invalidates_all_of_them(api: Any, sql: Sql, client: Any) -> None:
    sql("insert into cacheaside.outbox (change) values ('products:42') on conflict do nothing")  # of another writer
    tags = [f"cacheaside:tag:table_{number}:7" for number in range(1_500)]
    for tag in tags:
        client.set(tag, "version")
    sql("grant insert on cacheaside.outbox to cacheaside_command")
    try:
        call = with_command(
            api,
            """with written as (insert into cacheaside.outbox (change)
               select 'table_' || number || ':7' from generate_series(0, 1499) as number returning change)
               select count(*) from written""",
        )
        assert call().json["invalidation"] == "done"
    finally:
        sql("revoke insert on cacheaside.outbox from cacheaside_command")
    assert client.keys("cacheaside:tag:table_*") == []
    assert sql(PENDING) == [("products:42",)]


def test_process_killed_between_commit_and_drain_leaves_its_changes_in_the_outbox(api: Any, sql: Sql) -> None:
    call_after_commit(api, lambda: os.kill(os.getpid(), signal.SIGKILL))
    body = {"customer_id": 7, "product_ids": [1], "quantities": [1]}
    [(orders,)] = sql("select count(*) from orders")
    assert call_simultaneously([lambda: api.post("/commands/place_order", body, idempotency_key="k")]) == [None]
    assert sql("select count(*) from orders") == [(orders + 1,)]
    assert len(sql(PENDING)) == 2


def test_request_sent_again_after_that_kill_completes_the_invalidation(start_api: Any, client: Any, sql: Sql) -> None:
    api = start_api()
    before = api.get("/queries/product?id=42").json["data"]["price"]
    call_after_commit(api, lambda: os.kill(os.getpid(), signal.SIGKILL))
    body = {"id": 42, "price": before + 1}
    call_simultaneously([lambda: api.post("/commands/set_price", body, idempotency_key="k")])
    assert api.get("/queries/product?id=42").json["data"]["price"] == before
    again = start_api().post("/commands/set_price", body, idempotency_key="k")
    assert (again.json["invalidation"], again.headers["idempotency-replayed"]) == ("done", "true")
    assert api.get("/queries/product?id=42").json["data"]["price"] == before + 1
    assert sql(PENDING) == []


@pytest.mark.parametrize("lost", ["cache", "database"])
def test_server_lost_right_after_commit_makes_invalidation_pending_and_no_error(
    start_api: Any, postgres: Any, valkey: Any, sql: Sql, lost: str
) -> None:
    with fault_proxy({"cache": valkey, "database": postgres}[lost].url) as (proxy, url):
        api = start_api(**{f"{lost}_url": url})
        call_after_commit(api, lambda: proxy.switch(Fault.REFUSAL))
        written = api.post("/commands/set_price", {"id": 42, "price": 9})
    assert (written.status, written.json["invalidation"]) == (200, "pending")
    assert written.json["data"]["price"] == 9
    assert sql(PENDING) == [("products:42",)]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_command_runs_at_the_isolation_level_of_its_file(api: Any, isolation: str) -> None:
    call = with_command(api, "select current_setting('transaction_isolation') as level", isolation=isolation)
    assert call().json["data"] == {"level": isolation}


def test_two_serializable_commands_that_conflict_both_succeed(api: Any) -> None:
    call = with_command(
        api,
        "insert into notes (text) select count(notes.*) from pg_sleep(0.3) left join notes on true returning text",
        isolation="serializable",
    )
    answers = call_simultaneously([call, call])
    assert sorted(answer.json["data"]["text"] for answer in answers) == ["0", "1"]


def test_commands_that_deadlock_both_succeed(api: Any, sql: Sql) -> None:
    sql("insert into notes (text) values ('a'), ('b')")
    # The first attempts wait until each has locked a row, and deadlock. A retry waits at most for the other command.
    sql("""create function swap(first text, second text) returns integer language plpgsql as $$ begin
           update notes set text = text where text = first;
           perform pg_advisory_xact_lock_shared(2);
           if nextval('attempts') <= 2 then
               while (select count(*) < 2 from pg_locks where locktype = 'advisory' and objid = 2) loop
                   perform pg_sleep(0.01);
               end loop;
           end if;
           update notes set text = text where text = second;
           return 1; end $$""")
    try:
        call = with_command(api, "select swap(%(first)s, %(second)s)", "first", "second", timeout_ms=60_000)
        answers = call_simultaneously([lambda: call(first="a", second="b"), lambda: call(first="b", second="a")])
        assert [answer.status for answer in answers] == [200, 200]
        assert sql("select last_value from attempts") == [(3,)]
    finally:
        sql("drop function swap")


@pytest.fixture
def always_conflicts(sql: Sql) -> Iterator[None]:
    sql("""create function always_conflicts(seconds float) returns integer language plpgsql as $$ begin
           perform nextval('attempts'), pg_sleep(seconds); raise sqlstate '40001'; end $$""")
    yield
    sql("drop function always_conflicts")


@pytest.mark.usefixtures("always_conflicts")
def test_command_that_always_conflicts_gives_up_after_three_attempts(api: Any, sql: Sql) -> None:
    answer = with_command(api, "select always_conflicts(0)")()
    assert check_problem(answer, 503)["type"] == "/docs#busy"
    assert answer.headers["retry-after"] == "5"
    assert sql("select last_value from attempts") == [(3,)]


@pytest.mark.usefixtures("always_conflicts")
def test_all_attempts_together_take_no_longer_than_the_commands_timeout(api: Any, sql: Sql) -> None:
    answer = with_command(api, "select always_conflicts(0.8)", timeout_ms=1_000)()
    [(attempts,)] = sql("select last_value from attempts")
    # The timeout cuts the second attempt short, or the first if this machine stalls.
    assert (answer.status, attempts) in {(504, 2), (504, 1), (503, 1)}


@pytest.mark.usefixtures("always_conflicts")
def test_pause_that_would_outlast_the_commands_timeout_is_skipped(api: Any, sql: Sql) -> None:
    commands = api.module("CommandFunction").writer._database
    commands._chance, commands._sleep = lambda: 1_000.0, lambda _: pytest.fail("the command paused")
    assert check_problem(with_command(api, "select always_conflicts(0)")(), 503)["type"] == "/docs#busy"
    assert sql("select last_value from attempts") == [(1,)]


def test_command_that_times_out_while_committing_is_504_and_writes_nothing(api: Any, sql: Sql) -> None:
    sql("create function linger() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'")
    sql("""create constraint trigger linger after insert on notes
           deferrable initially deferred for each row execute function linger()""")
    try:
        call = with_command(api, "insert into notes default values returning id", timeout_ms=4_000)
        assert check_problem(call(), 504)["type"] == "/docs#timeout"
        assert sql("select count(*) from notes") == [(0,)]
        assert api.post("/commands/set_price", {"id": 42, "price": 9}).status == 200
    finally:
        sql("drop function linger cascade")


def test_connection_lost_while_committing_is_outcome_unknown_without_retry_after(api: Any, sql: Sql) -> None:
    sql("""create function hang_up() returns trigger language plpgsql as
           $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$""")
    try:
        sql("""create constraint trigger hang_up after insert on notes
               deferrable initially deferred for each row execute function hang_up()""")
        run = with_command(api, "insert into notes (text) values ('x') returning id")
        lost = run()
    finally:
        sql("drop function hang_up cascade")
    assert check_problem(lost, 503)["type"] == "/docs#outcome-unknown"
    assert "retry-after" not in lost.headers
    assert run().status == 200, "on a new connection"


def test_transaction_of_an_internal_error_is_not_committed_with_the_next(api: Any, sql: Sql) -> None:
    commands = api.module("CommandFunction").writer._database
    run, commands._run = commands._run, lambda *arguments: (run(*arguments), 1 / 0)
    check_problem(api.post("/commands/set_price", {"id": 41, "price": 12345}), 500)
    commands._run = run
    assert api.post("/commands/set_price", {"id": 42, "price": 9}).status == 200
    assert sql("select count(*) from products where price = 12345") == [(0,)]


def test_process_frozen_in_a_transaction_loses_its_locks_after_its_timeout(api: Any) -> None:
    first = with_command(api, "update products set price = 1 where id = 42 returning id", timeout_ms=1_000)
    module = api.module("CommandFunction")
    declared, commands = module.catalogue.commands, module.writer._database
    declared["set_price"] = declared["set_price"]._replace(timeout_ms=30_000)
    has_locks, may_go_on = _fork.Event(), _fork.Event()

    def freeze() -> Any:
        run = commands._run

        def run_and_freeze(*arguments: Any) -> Any:
            rows = run(*arguments)
            has_locks.set()
            may_go_on.wait(120)
            return rows

        commands._run = run_and_freeze
        while not has_locks.is_set():  # on a slow machine the timeout may come before the locks
            answer = first()
        return answer

    def wait() -> Any:
        has_locks.wait(120)
        answer = api.post("/commands/set_price", {"id": 42, "price": 2})
        may_go_on.set()
        return answer

    frozen, waited = call_simultaneously([freeze, wait])
    assert (frozen.status, waited.status) == (503, 200)


def test_begin_that_fails_leaves_no_transaction_open(api: Any) -> None:
    call = with_command(api, "select 1 as one", timeout_ms=-5)  # "begin" succeeds, and the setting after it is refused
    check_problem(call(), 500)
    assert api.post("/commands/set_price", {"id": 42, "price": 9}).status == 200
