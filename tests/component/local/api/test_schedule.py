"""Schedules of the template, in real sandboxes and with the real functions."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from local.api.gateway import Gateway
from local.api.pool import Pool
from local.api.schedule import Scheduler
from local.servers.processes import descendants
from local.template import Function, Schedule, Template
from tests.component.support.checkout import copy_project
from tests.support.wait_until import wait_until

NOTING = """
import json, os, time
from pathlib import Path

NOTES = Path(__file__).with_name("notes")


def handler(event, context):
    with NOTES.open("a") as notes:
        print(json.dumps({"pid": os.getpid(), "event": event}), file=notes)
    time.sleep(event.get("sleep", 0))
    if "raise" in event:
        raise ValueError(event["raise"])
"""


@pytest.fixture
def noting(function: Function) -> Function:
    """A function that notes each event."""
    (function.paths[0] / "told" / "app.py").write_text(NOTING)
    return replace(function, timeout=900)


def notes(function: Function, at_least: int) -> list[dict[str, object]]:
    """Wait for so many notes, then return all of them."""
    path = function.paths[0] / "told" / "notes"
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= at_least)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def keep(noting: Function, tmp_path: Path, told: list[str]) -> Iterator[Callable[..., None]]:
    """Starts a scheduler with one schedule and two sandboxes, and ends it as the gateway does."""
    pool = Pool(noting, {}, tmp_path / "log", limit=2)
    with ExitStack() as schedulers:

        def start(interval: float, event: object = None) -> None:
            schedule = Schedule("ToldFunctionClock", "ToldFunction", interval, event)
            schedulers.enter_context(Scheduler([schedule], {"ToldFunction": pool}, told.append))

        pool.warm()
        yield start
    pool.close()


def test_a_function_runs_at_the_start_and_then_at_each_interval(keep: Callable[..., None], noting: Function) -> None:
    keep(0.3)
    notes(noting, 3)


def test_without_an_input_the_event_is_the_schedulers_own(keep: Callable[..., None], noting: Function) -> None:
    keep(60)
    event = notes(noting, 1)[0]["event"]
    assert isinstance(event, dict)
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.pop("time"))
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/ToldFunctionClock"],
        "detail": "{}",
    }


def test_an_invocation_longer_than_the_interval_does_not_delay_the_next(
    keep: Callable[..., None], noting: Function
) -> None:
    keep(0.5, {"sleep": 900})
    first, second = notes(noting, 2)
    assert first["pid"] != second["pid"]


def test_the_functions_own_timeout_holds(noting: Function, tmp_path: Path, told: list[str]) -> None:
    pool = Pool(replace(noting, timeout=0.5), {}, tmp_path / "log")
    pool.warm()
    with Scheduler([Schedule("Clock", "ToldFunction", 60, {"sleep": 60})], {"ToldFunction": pool}, told.append):
        wait_until(lambda: told)
    pool.close()
    assert told == ["ToldFunction, on schedule: timed out after 0.50 seconds"]


def test_each_failure_is_told_once_and_neither_ends_the_schedule_nor_costs_a_sandbox(
    keep: Callable[..., None], noting: Function, told: list[str]
) -> None:
    keep(0.5, {"raise": "boom"})
    wait_until(lambda: len(told) == len(notes(noting, 5)))  # between two invocations
    assert len({note["pid"] for note in notes(noting, 5)}) <= 2
    assert all(line.startswith("ToldFunction, on schedule: ValueError: boom") for line in told)


def test_stopping_the_gateway_ends_a_scheduled_invocation_and_tells_nothing(
    noting: Function,
    tmp_path: Path,
    told: list[str],
    newcomers: Callable[[], list[int]],
    wait_for_end: Callable[[list[int]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("local.api.gateway.INTEGRATION_LIMIT", 0.1)  # does not apply to schedules
    schedule = Schedule("Clock", "ToldFunction", 0.3, {"sleep": 600})
    template = Template({"ToldFunction": noting}, (), (schedule,))
    with closing(Gateway(0)) as gateway, ExitStack() as served:
        served.enter_context(gateway.serving(template, {}, tmp_path / "log", print_line=told.append))
        notes(noting, 2)
        family = newcomers()
        assert len(family) >= 2, "one that sleeps, and the next"
        stopping = threading.Thread(target=served.close)
        stopping.start()
        wait_for_end(family)
        wait_until(lambda: not stopping.is_alive())
        known = len(notes(noting, 2))
        time.sleep(0.5)
        assert len(notes(noting, 2)) == known, "none starts any more"
    assert newcomers() == []
    assert told == []


def test_a_write_of_psql_changes_the_answer_of_a_running_stack_without_any_request_to_invalidate(folder: Path) -> None:
    checkout = copy_project(folder)

    def price() -> float:
        return float(json.loads(checkout.get("/queries/product?id=7"))["data"]["price"])

    with checkout.running(SAMPLE_SIZE="50") as process:
        family = descendants(process.pid)
        before = price()
        with closing(psycopg2.connect(checkout.endpoints["DATABASE_URL"])) as writer, writer, writer.cursor() as cursor:
            cursor.execute("update products set price = price + 1 where id = 7")
        deadline = time.monotonic() + 30  # by itself the answer would be replaced after 60 s
        while price() != pytest.approx(before + 1):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert process.returncode == 0
    assert not set(family) & set(descendants(os.getpid()))
