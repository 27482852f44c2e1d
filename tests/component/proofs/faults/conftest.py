"""The servers of a campaign, without load, and one fault at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from proofs.chaos.faults.clock import SANDBOX_CLOCK, sandbox_clock
from proofs.chaos.stack import ChaosStack, running_servers
from tests.component.support.one_fault import works
from tests.support.wait_until import wait_until

FUNCTIONS = ("QueryFunction", "CommandFunction", "InvalidateFunction")
# A stand-in for a sandbox: it tells its wall clock for each line that it reads.
TELL_TIME = "import time\nwhile input() == '': print(time.time_ns(), flush=True)"


@pytest.fixture(scope="session")
def stacks() -> Iterator[Callable[[str], ChaosStack]]:
    """Start the servers of a stack with a cache of that kind, once."""
    started: dict[str, ChaosStack] = {}
    with ExitStack() as exits:

        def start(kind: str) -> ChaosStack:
            if kind not in started:
                started[kind] = exits.enter_context(running_servers(kind, [0, 0], [0, 0], lambda _: None))
            return started[kind]

        yield start


@pytest.fixture
def stack(stacks: Callable[[str], ChaosStack], request: pytest.FixtureRequest) -> Iterator[ChaosStack]:
    """A stack with a cache of one node, or of the kind that the test asks for. Afterwards both servers answer."""
    stack = stacks(getattr(request, "param", "node"))
    yield stack
    wait_until(lambda: works(stack))


@pytest.fixture
def sandboxes(stack: ChaosStack) -> Iterator[dict[str, Any]]:
    """Give the stack a process for each function, in place of a sandbox."""
    environment = {"PYTHONPATH": str(SANDBOX_CLOCK), **sandbox_clock(stack.clock_file)}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", TELL_TIME],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for name in FUNCTIONS
    }
    pools: Any = {
        name: SimpleNamespace(pids=[process.pid] if process.poll() is None else [])
        for name, process in processes.items()
    }
    stack._pools.append(pools)
    yield processes
    stack._pools.remove(pools)
    for process in processes.values():
        process.kill()
        process.communicate()
