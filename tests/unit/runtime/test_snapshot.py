"""The state that is reset in a sandbox from a snapshot, with a stand-in for Lambda's runtime."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from socket import create_server
from types import ModuleType

import pytest

from cacheaside.runtime.snapshot import after_restore
from tests.support.root import FUNCTIONS, ROOT

Hooks = list[Callable[[], object]]


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    """The hooks that were registered with the runtime, in order."""
    registered: Hooks = []
    runtime = ModuleType("snapshot_restore_py")
    runtime.register_after_restore = registered.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    return registered


def test_sandboxes_of_one_snapshot_draw_different_numbers(hooks: Hooks) -> None:
    after_restore()
    snapshot = random.getstate()
    drawn = set()
    for _sandbox in range(3):
        random.setstate(snapshot)
        for hook in hooks:
            hook()
        drawn.add(random.random())  # noqa: S311
    assert len(drawn) == 3


def test_resets_are_called_in_order_and_not_before_a_restore(hooks: Hooks) -> None:
    reset: list[str] = []
    after_restore(lambda: reset.append("cache"), lambda: reset.append("database"))
    assert reset == []
    for hook in hooks:
        hook()
    assert reset == ["cache", "database"]


def test_outside_lambda_no_hook_is_called() -> None:
    assert "snapshot_restore_py" not in sys.modules
    after_restore(lambda: pytest.fail("was called"))


INIT = """
import sys, types
hooks = []
sys.modules["snapshot_restore_py"] = types.SimpleNamespace(register_after_restore=hooks.append)
import query.app
assert [hook.__qualname__ for hook in hooks] == ["Random.seed", "GuardedCache.forget", "GuardedQueries.forget"]
for hook in hooks:
    hook()
"""


def test_init_of_the_query_function_opens_no_connection_and_registers_its_hooks() -> None:
    with create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environment = {
            "PYTHONPATH": f"{ROOT}/layers/cacheaside:{FUNCTIONS}",
            "PYTHONDONTWRITEBYTECODE": "1",  # else bytecode would be written to functions/, and deployed
            "AUTHENTICATION": "url",
            "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/none",
            "CACHE_URL": f"redis://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "POWERTOOLS_METRICS_NAMESPACE": "cacheaside",
        }
        subprocess.run([sys.executable, "-c", INIT], env=environment, check=True)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # no connection is waiting
            server.accept()
