"""A server that ends is started again, but not for ever."""

from __future__ import annotations

from errno import ENOSPC
from pathlib import Path
from typing import cast

import pytest

from local.servers.server import Server
from local.servers.supervisor import Supervisor


class FakeServer:
    """Ends when the test says so."""

    name, log, pid = "Valkey", Path("valkey.log"), 7

    def __init__(self) -> None:
        self.running, self.silent, self.starts = True, False, 0
        self.fault: OSError | None = None
        self.runs_on = True  # after a start

    @property
    def ended(self) -> str | None:
        return None if self.running or self.fault else "was killed by signal 9"

    def answers(self) -> bool:
        return not self.silent

    def restart(self) -> None:
        self.starts += 1
        if self.fault:
            raise self.fault
        self.running = self.runs_on


class Watch:
    def __init__(self) -> None:
        self.server, self.said, self.now = FakeServer(), list[str](), 0.0
        self._supervisor = Supervisor([cast("Server", self.server)], self.said.append, lambda: self.now)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(2 * seconds)):
            self._supervisor()
            self.now += 0.5


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_server_that_ends_again_and_again_is_given_up(watch: Watch) -> None:
    watch.server.running = watch.server.runs_on = False
    watch.pass_time(3600)
    assert watch.server.starts == 6
    assert watch.said.count("Valkey is not started any more: stop with Ctrl-C, and run again") == 1
    watch.server.running = True
    watch.pass_time(120)
    assert len(watch.said) == 13, "six ends and six starts before"


def test_a_reason_that_passes_is_waited_for(watch: Watch) -> None:
    watch.server.running, watch.server.fault = False, OSError(ENOSPC, "No space left", "valkey.log")
    watch.pass_time(30)
    assert watch.server.starts == 4
    assert watch.said == [
        "Valkey cannot be started, and is tried again: valkey.log: No space left; free some space and start again"
    ], "once"
    watch.server.fault = None
    watch.pass_time(60)
    assert watch.server.running
    assert watch.said[-1] == "Valkey runs again"


def test_a_server_that_ends_once_a_day_is_never_given_up(watch: Watch) -> None:
    for _ in range(20):
        watch.server.running = False
        watch.pass_time(120)
        assert watch.server.running


def test_silence_is_reported_once_and_its_end_too(watch: Watch) -> None:
    watch.server.silent = True
    watch.pass_time(8)
    assert watch.said == [], "a slow moment"
    watch.pass_time(60)
    assert len(watch.said) == 1
    assert watch.said[0].startswith("Valkey has not answered for 10 s. If it is suspended, `kill -CONT 7` wakes it")
    watch.server.silent = False
    watch.pass_time(10)
    assert watch.said[1:] == ["Valkey answers again"]
