"""Sandboxes: real processes that keep their state, fail, hang and die."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from local.api.pool import CallerTimeout, FunctionFailed, Pool
from local.servers.processes import alive, descendants
from local.template import Function
from tests.support.root import ROOT
from tests.support.wait_until import wait_until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log" / "ToldFunction.log"


@pytest.fixture
def pool(function: Function, log: Path) -> Iterator[Pool]:
    pool = Pool(function, {"B": "2"}, log, limit=4)
    yield pool
    pool.close()


def test_a_sandbox_keeps_its_state_and_serves_one_caller_after_the_other(pool: Pool) -> None:
    answers = [pool.invoke({}) for _ in range(5)]
    assert len({answer["pid"] for answer in answers}) == 1
    assert [answer["served"] for answer in answers] == [1, 2, 3, 4, 5]


def test_callers_at_the_same_time_get_a_sandbox_each_up_to_the_limit(pool: Pool, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with ThreadPoolExecutor(50) as callers:
        calls = [callers.submit(pool.invoke, {"do": f"/await{go}"}) for _ in range(50)]
        wait_until(lambda: len(pool._all) == 4)
        go.touch()
    answers = [call.result() for call in calls]
    assert len({answer["pid"] for answer in answers}) == 4
    assert sum(answer["served"] == 1 for answer in answers) == 4
    assert len(answers) == 50


def test_one_sandbox_never_serves_two_at_once(pool: Pool) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda _: pool.invoke({"do": "/sleep/0.5"}), range(8)))
    assert time.monotonic() - started >= 1.0, "eight requests of half a second in four sandboxes: two rounds"


def test_an_exception_is_the_answer_and_the_sandbox_continues(pool: Pool, log: Path) -> None:
    pid = pool.invoke({})["pid"]
    with pytest.raises(FunctionFailed, match=r"^ValueError: boom \(.*told/app\.py:\d+\)$"):
        pool.invoke({"do": "/raise/boom"})
    assert pool.invoke({})["pid"] == pid
    assert "Traceback (most recent call last)" in log.read_text()


@pytest.mark.parametrize(("do", "status"), [("/exit/3", 3), ("/exit/0", 0), ("/leave", 7)])
def test_a_sandbox_that_dies_is_replaced(pool: Pool, do: str, status: int) -> None:
    first = pool.invoke({})
    with pytest.raises(FunctionFailed, match=f"ended with status {status}"):
        pool.invoke({"do": do})
    second = pool.invoke({})
    assert second["pid"] != first["pid"]
    assert second["served"] == 1


def test_sandboxes_that_die_between_requests_cost_none_of_them(pool: Pool) -> None:
    pid = pool.invoke({})["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    assert pool.invoke({})["pid"] != pid


def test_dead_sandboxes_do_not_count_towards_the_limit(pool: Pool) -> None:
    for _ in range(6):
        with pytest.raises(FunctionFailed):
            pool.invoke({"do": "/exit/1"})
    assert pool.invoke({})["served"] == 1


def test_after_its_timeout_a_sandbox_is_killed_with_its_children(
    function: Function, log: Path, wait_for_end: Callable[[list[int]], None]
) -> None:
    pool = Pool(replace(function, timeout=5), {}, log)
    pid = pool.invoke({})["pid"]
    child = pool.invoke({"do": "/child"})
    with pytest.raises(FunctionFailed, match=r"timed out after 5\.00 seconds"):
        pool.invoke({"do": "/sleep/60"})
    wait_for_end([pid, child])
    assert pool.invoke({})["pid"] != pid
    pool.close()


def test_a_caller_waits_for_an_answer_no_longer_than_its_patience(pool: Pool) -> None:
    pool.warm()
    with pytest.raises(CallerTimeout, match="no answer"):
        pool.invoke({"do": "/sleep/60"}, patience=0.2)


def test_a_caller_waits_for_a_free_sandbox_no_longer_than_its_patience(function: Function, log: Path) -> None:
    pool = Pool(function, {}, log, limit=1)
    pool.warm()
    with ThreadPoolExecutor(1) as other:
        other.submit(pool.invoke, {"do": "/sleep/60"})
        wait_until(pool._idle.empty)
        with pytest.raises(CallerTimeout, match="busy"):
            pool.invoke({}, patience=0.1)
        pool.close()


def test_an_answer_over_lambdas_limit_is_an_error_and_not_an_answer(pool: Pool) -> None:
    assert len(pool.invoke({"do": "/repeat/é/3145727"})) == 3145727, "six MiB with the quotes, in UTF-8"
    with pytest.raises(FunctionFailed, match="the answer has 6,291,458 bytes"):
        pool.invoke({"do": "/repeat/é/3145728"})
    assert pool.invoke({})["served"] == 3


def test_an_answer_that_is_no_json_is_an_error(pool: Pool) -> None:
    with pytest.raises(FunctionFailed, match="TypeError: Object of type set is not JSON serializable"):
        pool.invoke({"do": "/unserializable"})


def test_a_large_event_arrives_whole(pool: Pool) -> None:
    assert pool.invoke({"do": "/length", "text": "é\n\u2028" * 1_000_000}) == 3_000_000
    assert pool.invoke({"text": "é\n\u2028\ud800"})["event"] == {"text": "é\n\u2028\ud800"}


def test_output_of_the_function_is_in_its_log_and_not_in_its_answer(pool: Pool, log: Path) -> None:
    assert pool.invoke({})["served"] == 1
    assert log.read_text().splitlines() == ["imported", "to the log", "straight to the log", "even straighter"]


def test_the_environment_is_lambdas_then_the_templates_then_the_overrides(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "of this machine")
    environ = pool.invoke({"do": "/environ"})
    assert (environ["A"], environ["B"]) == ("1", "2")
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == "ToldFunction"
    assert environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environ["AWS_REGION"] == "us-east-1"
    assert "PGPASSWORD" not in environ


def test_modules_are_imported_from_the_folders_that_lambda_uses(pool: Pool, function: Function) -> None:
    path = pool.invoke({"do": "/path"})
    assert path[:2] == [str(each) for each in function.paths]
    assert str(ROOT / "local") not in path
    assert str(ROOT) not in path


@pytest.mark.parametrize("prefix", [None, "bytecode"])
def test_no_bytecode_is_written_beside_the_code_that_is_packaged(
    function: Function, log: Path, tmp_path: Path, prefix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    if prefix:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPYCACHEPREFIX", prefix)
    with contextlib.closing(Pool(function, {"B": "2"}, log)) as pool:
        pool.invoke({})
    assert not [found for path in function.paths for found in path.rglob("__pycache__")]


def test_the_context_is_the_one_of_the_real_runtime(pool: Pool) -> None:
    before = time.monotonic()
    first = pool.invoke({"do": "/context"})
    assert before + 30 <= first.pop("deadline") <= time.monotonic() + 30
    assert 0 < first.pop("remaining") <= 30_000
    assert first.pop("aws_request_id") != pool.invoke({"do": "/context"})["aws_request_id"]
    assert first == {
        "function_name": "ToldFunction",
        "function_version": "$LATEST",
        "memory_limit_in_mb": "256",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:ToldFunction",
        "log_group_name": "/aws/lambda/ToldFunction",
        "log_stream_name": "local",
        "identity": None,
        "client_context": None,
    }


@pytest.mark.parametrize(
    ("handler", "code", "message"),
    [
        ("told.app.handler", "import no_such_module", r"No module named 'no_such_module' \(.*told/app\.py:1\)"),
        ("told.app.handler", "raise SystemExit('no configuration')", "SystemExit: no configuration"),
        ("told.app.handler", "def handler(:", r"SyntaxError: invalid syntax \(app\.py, line 1\)"),
        ("told.app.other", "", "has no attribute 'other'"),
        ("gone.app.handler", "", "No module named 'gone'"),
    ],
)
def test_an_import_error_names_what_is_wrong_and_where(
    function: Function, log: Path, handler: str, code: str, message: str
) -> None:
    (function.paths[0] / "told" / "app.py").write_text(code)
    pool = Pool(replace(function, handler=handler), {}, log)
    with pytest.raises(FunctionFailed, match=f"handler cannot be imported: .*{message}"):
        pool.invoke({})
    pool.close()


def test_a_missing_code_folder_is_told(function: Function, log: Path, tmp_path: Path) -> None:
    pool = Pool(replace(function, paths=(tmp_path / "gone",)), {}, log)
    with pytest.raises(FunctionFailed, match=r"no sandbox can be started: .*gone"):
        pool.invoke({})


def test_closing_ends_busy_and_idle_sandboxes(
    pool: Pool, newcomers: Callable[[], list[int]], wait_for_end: Callable[[list[int]], None]
) -> None:
    pool.warm()
    pool.warm()
    with ThreadPoolExecutor(1) as caller:
        busy = caller.submit(pool.invoke, {"do": "/sleep/60"})
        wait_until(lambda: pool._idle.qsize() == 1)
        family = newcomers()
        assert len(family) >= 2
        pool.close()
        with pytest.raises(FunctionFailed, match="the sandbox ended"):
            busy.result(20)
    wait_for_end(family)


def test_a_sandbox_that_is_starting_ends_with_the_pool(
    function: Function, log: Path, newcomers: Callable[[], list[int]]
) -> None:
    def ask(pool: Pool) -> None:
        with contextlib.suppress(FunctionFailed):
            pool.invoke({})

    for pause in (0, 0.001, 0.003, 0.006, 0.01):
        pool = Pool(function, {}, log)
        callers = [threading.Thread(target=ask, args=[pool]) for _ in range(4)]
        for caller in callers:
            caller.start()
        time.sleep(pause)
        pool.close()
        assert newcomers() == []
        for caller in callers:
            caller.join()


def test_sandboxes_end_with_their_owner_also_during_a_request(
    function: Function, log: Path, wait_for_end: Callable[[list[int]], None]
) -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import pathlib, threading, time
                from pathlib import PosixPath
                from local.api.pool import Pool
                from local.template import Function
                pool = Pool({function!r}, {{}}, pathlib.Path({str(log)!r}))
                pool.warm()
                pool.invoke({{"do": "/child"}})
                threading.Thread(target=pool.invoke, args=[{{"do": "/sleep/60"}}], daemon=True).start()
                while not pool._idle.empty():
                    time.sleep(0.01)
                pool.warm()
                print("ready", flush=True)
                time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    family = descendants(owner.pid)
    assert len(family) == 3, "a busy sandbox with a child, and an idle one"
    assert all(alive(pid) for pid in family)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_for_end(family)
