"""Work after the response in local sandboxes: the library's own extension against the pool and the gateway."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import local.api.pool
from local.api.gateway import Gateway
from local.api.pool import FunctionFailed, Pool
from local.servers.processes import HOST
from local.template import Function, Route, Template
from tests.support.root import ROOT
from tests.support.wait_until import wait_until

HANDLER = """
import json, os, time

from cacheaside.runtime import after_response as library
from cacheaside.runtime.after_response import AfterResponse

library._REGISTER_S = 30  # this machine may stop for a moment
after_response = AfterResponse.start(os.environ)
DROP = 10**6


def tell(**what):
    line = json.dumps({"pid": os.getpid(), **what})
    os.write(1, f"{line}\\n".encode())  # in one piece: several sandboxes share the log


@after_response.wrap
def handler(event, context):
    do = event.get("queryStringParameters") or event
    number, seconds = do.get("number", 0), float(do.get("seconds", 0))

    def task():
        while "until" in do and not os.path.exists(do["until"]):
            time.sleep(0.01)
        time.sleep(seconds)
        tell(ended="task", number=number)

    tell(began="handler", number=number)
    if do.get("task", "yes") == "yes":
        after_response.submit(task)
    after_response.submit(lambda: tell(ended="dropped"), needs_ms=DROP)
    tell(ended="handler", number=number)
    if "raise" in do:
        raise ValueError(do["raise"])
    return {"pid": os.getpid(), "inline": after_response.inline, "dropped": after_response.dropped}
"""


@pytest.fixture
def refreshing(function: Function) -> Function:
    """A function whose handler submits a task that takes so many `seconds`, or runs `until` a file exists."""
    (function.paths[0] / "told" / "app.py").write_text(HANDLER)
    return replace(function, paths=(*function.paths, ROOT / "layers/cacheaside"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log" / "ToldFunction.log"


@pytest.fixture
def pool(refreshing: Function, log: Path) -> Iterator[Pool]:
    pool = Pool(refreshing, {}, log, limit=4)
    pool.warm()
    yield pool
    pool.close()


Told = list[dict[str, Any]]


@pytest.fixture
def tasks(log: Path) -> Callable[[int], Told]:
    """Waits until so many tasks have ended, and returns their lines in the log."""

    def wait(count: int) -> Told:
        wait_until(lambda: len(ended_tasks(log)) >= count)
        return ended_tasks(log)

    return wait


def told(log: Path) -> Told:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


def ended_tasks(log: Path) -> Told:
    return [each for each in told(log) if each.get("ended") == "task"]


def test_the_answer_is_there_before_the_task_has_ended(
    pool: Pool, go: Path, log: Path, tasks: Callable[[int], Told]
) -> None:
    answer = pool.invoke({"until": str(go)})
    assert answer["inline"] is False
    assert ended_tasks(log) == []
    go.touch()
    assert [task["pid"] for task in tasks(1)] == [answer["pid"]]


def test_a_sandbox_with_a_running_task_is_busy_and_free_again_after_it(pool: Pool, go: Path) -> None:
    first = pool.invoke({"until": str(go)})
    second = pool.invoke({})
    assert second["pid"] != first["pid"]
    wait_until(lambda: len(pool._settling) == 1)
    go.touch()
    wait_until(lambda: not pool._settling)
    assert pool.invoke({})["pid"] == first["pid"], "the last one used"


def test_at_the_limit_the_next_request_waits_for_the_task(
    refreshing: Function, log: Path, tasks: Callable[[int], Told]
) -> None:
    with closing(Pool(refreshing, {}, log, limit=1)) as pool:
        first, second = pool.invoke({"seconds": 0.5, "number": 1}), pool.invoke({"number": 2})
        assert first["pid"] == second["pid"]
        tasks(2)
    order = [(next(iter({"began", "ended"} & each.keys())), each["number"]) for each in told(log)]
    assert order == [("began", 1), ("ended", 1), ("ended", 1), ("began", 2), ("ended", 2), ("ended", 2)]


@pytest.fixture
def hopeful(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a quick task may take seconds."""
    monkeypatch.setattr(local.api.pool, "SETTLE_PATIENCE", 30)


@pytest.mark.usefixtures("hopeful")
def test_quick_tasks_do_not_make_a_lone_caller_start_more_sandboxes(pool: Pool) -> None:
    assert len({pool.invoke({})["pid"] for _ in range(50)}) == 1


def test_no_task_is_lost_or_runs_beside_a_handler_of_its_sandbox(
    pool: Pool, log: Path, tasks: Callable[[int], Told]
) -> None:
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda number: pool.invoke({"number": number, "seconds": 0.01}), range(100)))
    assert sorted(task["number"] for task in tasks(100)) == list(range(100))
    by_sandbox: dict[int, Told] = {}
    for each in told(log):
        by_sandbox.setdefault(each["pid"], []).append(each)
    for story in by_sandbox.values():
        turns = [story[start : start + 3] for start in range(0, len(story), 3)]
        assert all(len({each["number"] for each in turn}) == 1 for turn in turns), (
            "began, ended, task ended; then the next"
        )


def test_the_task_of_a_handler_that_raises_runs_too(pool: Pool, tasks: Callable[[int], Told]) -> None:
    with pytest.raises(FunctionFailed, match="boom"):
        pool.invoke({"raise": "boom", "number": 7})
    assert tasks(1)[0]["number"] == 7


@pytest.mark.usefixtures("hopeful")
def test_a_task_that_needs_more_time_than_is_left_is_dropped(pool: Pool, log: Path) -> None:
    assert pool.invoke({"task": "no"})["dropped"] == 0
    assert pool.invoke({"task": "no"})["dropped"] == 1, "counted after the first answer was sent"
    assert "dropped" not in [each.get("ended") for each in told(log)]


def test_a_task_past_the_functions_timeout_ends_with_its_sandbox_and_costs_no_later_request(
    refreshing: Function, log: Path
) -> None:
    with closing(Pool(replace(refreshing, timeout=5), {}, log, limit=1)) as pool:
        first = pool.invoke({"seconds": 60})
        second = pool.invoke({})
        assert second["pid"] != first["pid"]
    assert "after the response: timed out after 5.00 seconds" in log.read_text()


def test_a_sandbox_that_dies_in_a_task_costs_no_later_request(refreshing: Function, log: Path) -> None:
    code = refreshing.paths[0] / "told" / "app.py"
    code.write_text(HANDLER.replace("time.sleep(seconds)", "time.sleep(0.2); number == 5 and os._exit(5)"))
    with closing(Pool(refreshing, {}, log, limit=1)) as pool:
        first, second = pool.invoke({"number": 5}), pool.invoke({"number": 6})
        assert second["pid"] != first["pid"]
    assert "after the response: the sandbox ended with status 5" in log.read_text()


def test_closing_does_not_wait_for_a_task(
    refreshing: Function, log: Path, wait_for_end: Callable[[list[int]], None]
) -> None:
    pool = Pool(replace(refreshing, timeout=900), {}, log)
    pid = pool.invoke({"seconds": 600})["pid"]
    ending = threading.Thread(target=pool.close)
    ending.start()
    wait_for_end([pid])
    wait_until(lambda: not ending.is_alive())
    assert "after the response" not in log.read_text()


@pytest.mark.parametrize("late", ["in the handler", "twice"])
def test_a_registration_after_init_or_a_second_one_is_refused(refreshing: Function, log: Path, late: str) -> None:
    code = refreshing.paths[0] / "told" / "app.py"
    start = "after_response = AfterResponse.start(os.environ)\n"
    if late == "twice":
        code.write_text(HANDLER.replace(start, start * 2))
    else:
        code.write_text(
            "from cacheaside.runtime import after_response as library\nimport os\nlibrary._REGISTER_S = 30\n"
            "def handler(event, context):\n    return {'inline': library.AfterResponse.start(os.environ).inline}\n"
        )
    with closing(Pool(refreshing, {}, log)) as pool:
        assert pool.invoke({"seconds": 0})["inline"] is True
    assert "403" in log.read_text()


def test_over_the_gateway_the_response_is_complete_before_the_task_has_ended(
    refreshing: Function, go: Path, log: Path, tasks: Callable[[int], Told]
) -> None:
    template = Template({"ToldFunction": refreshing}, (Route("", "$default", "ToldFunction"),))
    with closing(Gateway(0)) as gateway, gateway.serving(template, {}, log.parent, print_line=print):
        with closing(http.client.HTTPConnection(HOST, gateway.port, timeout=60)) as client:
            client.request("GET", f"/?until={go}")
            body = json.loads(client.getresponse().read())
        assert body["inline"] is False
        assert ended_tasks(log) == []
        go.touch()
        tasks(1)
