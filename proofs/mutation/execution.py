"""Runs tests against mutants, as a plugin of pytest that takes the place of its loop over the tests.

The tests are imported once. A first child process runs them all without a mutant, and notes which functions of the
library each test reaches. Then each mutant has a child process of its own, which runs the tests that reach its
function, the shortest first, until one fails. So no test finds what another mutant, or test run, has left in memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, NamedTuple

import pytest
from hypothesis import Phase, settings

from proofs.mutation.mutants import LIBRARY, Placed, top_level

__all__ = ["Execution", "Verdict"]

_CHILDREN: Final = 2
# A mutant may loop for ever, or sleep. CPU time does not depend on what else the machine does.
_CPU_S: Final = 5  # beside twice the time that its tests took without a mutant
_WALL_S: Final = 600
_MEMORY_BYTES: Final = 4 * 1024**3

Verdict = str  # killed, timeout, survived or untested: no test reaches it

# By the status with which the process of a mutant ends.
_VERDICTS: Final = {
    0: "survived",
    1: "killed",
    -signal.SIGALRM: "timeout",
    -signal.SIGXCPU: "timeout",
    -signal.SIGKILL: "timeout",
}


class _Reach(NamedTuple):
    """What a test reaches: functions (file and name), and the global names that they read.

    `file` is the hash of its file, `seconds` the CPU time of the test while it was traced.
    """

    file: str
    seconds: float
    functions: list[str]
    names: list[str]


class Execution:
    """The plugin. `done` is told the verdict of each mutant."""

    def __init__(
        self, mutants: list[Placed], folder: Path, scratch: str, done: Callable[[Placed, Verdict], None]
    ) -> None:
        self._mutants = mutants
        self._folder = folder
        self._scratch = scratch
        self._done = done
        self.failure = ""

    def pytest_collection(self) -> None:
        """Make hypothesis try few examples, the same each time, and not look for a shorter one.

        tests/conftest.py has chosen its profile before, and the tests are imported after this.
        """
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutants", settings.default, phases=phases, max_examples=30, derandomize=True, database=None
        )
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.failure = "the tests cannot be imported"
        elif reached := self._reach(session):
            self._run(session, reached)
        return True

    def _run(self, session: pytest.Session, reached: list[_Reach]) -> None:
        running: dict[int, Placed] = {}
        for placed in self._mutants:
            tests = _tests_of(placed, reached)
            if not tests:
                self._done(placed, "untested")
                continue
            cpu_s = _CPU_S + round(2 * sum(reached[test].seconds for test in tests))
            if len(running) == _CHILDREN:
                self._wait(running)
            running[self._fork(partial(_attack, session, placed, tests, cpu_s))] = placed
        while running:
            self._wait(running)

    def _wait(self, running: dict[int, Placed]) -> None:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        if code not in _VERDICTS:
            raise RuntimeError(f"{running[pid].mutant.name}: its process ended with {code}")
        self._done(running.pop(pid), _VERDICTS[code])

    def _reach(self, session: pytest.Session) -> list[_Reach]:
        """Run all tests in a child, and return what each reaches. Sets `failure` if one fails."""
        _, status = os.waitpid(self._fork(partial(_note, session, self._folder / "reached.json")), 0)
        if status:
            self.failure = "the tests fail without a mutant too: see the output above"
            return []
        known = json.loads((self._folder / "reached.json").read_text())
        return [_Reach(*known[item.nodeid]) for item in session.items]

    def _fork(self, work: Callable[[], int]) -> int:
        sys.stdout.flush()
        if pid := os.fork():
            return pid
        code = 70
        try:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = self._scratch
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _note(session: pytest.Session, path: Path) -> int:
    """Run all tests. Trace those whose file has changed since `path` was written, and write it again."""
    known = json.loads(path.read_text()) if path.exists() else {}
    files = {item.path: blake2b(item.path.read_bytes(), digest_size=16).hexdigest() for item in session.items}
    library, reached = str(LIBRARY), {}
    for number, item in enumerate(session.items):
        codes: set[CodeType] = set()

        def note(frame: FrameType, _event: str, _arg: object, codes: set[CodeType] = codes) -> None:
            codes.add(frame.f_code)

        traced, began = known.get(item.nodeid, [""])[0] != files[item.path], time.process_time()
        sys.settrace(note if traced else None)
        _run_test(session, number, number + 1)
        sys.settrace(None)
        ours = [code for code in codes if code.co_filename.startswith(library)]
        functions = {f"{os.path.relpath(code.co_filename, library)} {top_level(code)}" for code in ours}
        names = {name for code in ours for name in code.co_names}
        new = _Reach(files[item.path], time.process_time() - began, sorted(functions), sorted(names))
        reached[item.nodeid] = new if traced else known[item.nodeid]
    path.write_text(json.dumps(known | reached))
    return int(session.testsfailed > 0)


def _tests_of(placed: Placed, reached: list[_Reach]) -> list[int]:
    """Return the tests that reach the mutant's function, or that may read its constant: the shortest first."""
    mutant = placed.mutant
    function = f"{mutant.path} {mutant.scope}"
    if placed.is_of_function():
        tests = [number for number, each in enumerate(reached) if function in each.functions]
    else:  # or another constant that is made of it, in the same file
        tests = [
            number
            for number, each in enumerate(reached)
            if mutant.scope in each.names or any(name.startswith(f"{mutant.path} ") for name in each.functions)
        ]
    return sorted(tests, key=lambda number: reached[number].seconds)


def _attack(session: pytest.Session, placed: Placed, tests: list[int], cpu_s: int) -> int:
    """Put the mutant into this process, and run its tests. Returns 1 if one of them fails, else 0."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_WALL_S)
    try:
        placed.apply()
    except SyntaxError:
        raise
    except Exception:  # of a constant: the file cannot even be imported
        return 1
    for test, following in zip(tests, [*tests[1:], None], strict=True):
        _run_test(session, test, following)
        if session.testsfailed:
            return 1
    return 0


def _run_test(session: pytest.Session, test: int, following: int | None) -> None:
    item = session.items[test]
    after = session.items[following] if following is not None and following < len(session.items) else None
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
