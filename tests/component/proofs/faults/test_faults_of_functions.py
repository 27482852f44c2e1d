"""Faults of the functions: sandboxes that are killed or frozen, and deployments."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from cacheaside.reading.entry import FORMAT_VERSION
from local.servers.processes import HOST
from proofs.chaos.faults import processes
from proofs.chaos.faults.deployment import _new_code, _other_policy, _other_statement
from proofs.chaos.stack import ChaosStack
from tests.component.support.one_fault import injected, proxied_url
from tests.support.wait_until import wait_until

FUNCTIONS = ("QueryFunction", "CommandFunction", "InvalidateFunction")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sandbox_of_that_function_is_killed(stack: ChaosStack, sandboxes: dict[str, Any], function: str) -> None:
    with injected(stack, f"sandboxes of {function} killed"):
        pass
    sandboxes[function].wait(60)
    assert [name for name, process in sandboxes.items() if process.poll() is not None] == [function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sandbox_of_that_function_is_frozen(stack: ChaosStack, sandboxes: dict[str, Any], function: str) -> None:
    def states() -> list[str]:
        return [name for name, process in sandboxes.items() if state(process.pid) == "T"]

    with injected(stack, f"sandboxes of {function} frozen"):
        wait_until(lambda: states() == [function])
    wait_until(lambda: states() == [])


def state(pid: int) -> str:
    """Return the letter for the state of the process, `T` if it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """Give up the wait for the instant of a fault later than a campaign does. Returns the seconds."""
    monkeypatch.setattr(processes, "_REACHED_WITHIN_S", 60.0)
    return processes._REACHED_WITHIN_S


def test_sandboxes_die_while_a_load_waits(stack: ChaosStack, sandboxes: dict[str, Any], patience: float) -> None:
    with closing(psycopg2.connect(proxied_url(stack, "cacheaside_query"))) as connection:
        ask = "select value from register_view where id = 1"
        took_s = dies_during(stack, sandboxes["QueryFunction"], "sandboxes killed while they load", connection, ask)
    assert took_s < patience


def test_sandboxes_die_between_commit_and_invalidation(
    stack: ChaosStack, sandboxes: dict[str, Any], patience: float
) -> None:
    with closing(psycopg2.connect(proxied_url(stack))) as connection:
        write = "update register set value = value + 1 where id = 1"
        name = "sandboxes killed between COMMIT and invalidation"
        assert dies_during(stack, sandboxes["CommandFunction"], name, connection, write) < patience
        with connection, connection.cursor() as cursor:
            cursor.execute("select from cacheaside.outbox where drained_at is null")
            assert cursor.rowcount > 0


def dies_during(stack: ChaosStack, sandbox: Any, name: str, connection: Any, statement: str) -> float:
    """Inject the fault while `statement` runs again and again. Returns the seconds until it killed the sandbox."""

    def run() -> None:
        with connection, connection.cursor() as cursor:
            while sandbox.poll() is None:
                cursor.execute(statement)
                connection.commit()

    thread = threading.Thread(target=run)
    thread.start()
    began = time.monotonic()
    with injected(stack, name):
        took_s = time.monotonic() - began
    sandbox.wait(60)
    thread.join()
    return took_s


def test_old_and_new_code_answer_at_once(stack: ChaosStack, sandboxes: dict[str, Any]) -> None:
    versions: set[int] = set()
    with closing(redis.Redis(HOST, stack.cache.nodes[0].port)) as client:
        client.flushall()

        def is_stored() -> bool:
            """On a busy machine, a request may bypass the cache and store nothing."""
            assert row_of(stack, 3)["id"] == 3
            versions.update(client.get(key)[2] for key in client.scan_iter("cacheaside:entry:*"))
            return bool(versions)

        with injected(stack, "old and new code at once: another format of entries"):
            wait_until(is_stored)
    assert versions == {FORMAT_VERSION + 1}
    assert stack.ports[1] == 0


def row_of(stack: ChaosStack, number: int) -> Any:
    with closing(http.client.HTTPConnection(HOST, stack.ports[1], timeout=60)) as connection:
        connection.request("GET", f"/queries/row?id={number}")
        return json.loads(connection.getresponse().read())["data"]


@pytest.mark.parametrize("change", [_other_statement, _other_policy])
def test_new_code_has_another_catalogue(stack: ChaosStack, change: Callable[..., None]) -> None:
    row = stack.catalogue / "queries" / "row.sql"
    before = row.read_text(encoding="utf-8")
    with _new_code(change, stack, random.Random(1)) as functions:  # noqa: S311
        assert (functions / "catalogue" / "queries" / "row.sql").read_text(encoding="utf-8") != before
    assert row.read_text(encoding="utf-8") == before


def test_edit_of_the_catalogue_is_taken_back(stack: ChaosStack) -> None:
    row = stack.catalogue / "queries" / "row.sql"
    before = row.read_text(encoding="utf-8")
    with injected(stack, "catalogue edited, all sandboxes replaced"):
        assert "value::numeric" in row.read_text(encoding="utf-8")
    assert row.read_text(encoding="utf-8") == before
