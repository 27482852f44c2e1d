"""The state machine of `read_path_machine`, with an adversary that puts rubbish under any key at any time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import redis
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cacheaside.reading.steps import Wait
from tests.component.support.read_path_machine import ENTRIES, LEASES, TAGS, PausedRead, ReadPathMachine

__all__ = ["RubbishMachine"]

KINDS: Final = ("list", "empty", "short", "like a token", "of the other row")


class RubbishMachine(ReadPathMachine):
    """`foreign` are the values that the adversary has written. It writes no token twice, as nobody can guess one."""

    def __init__(self, cache: Any, client: Any) -> None:
        super().__init__(cache, client)
        self.foreign: set[object] = set()

    @rule(key=st.sampled_from((*ENTRIES, *LEASES, *TAGS)), kind=st.sampled_from(KINDS))
    def overwrite(self, key: str, kind: str) -> None:
        """Put a value without expiry, so that nothing but a read can replace it."""
        if kind == "list":
            self.client.delete(key)
            self.client.rpush(key, "a")
            return
        value = {"empty": b"", "short": b"short", "like a token": self.token()}.get(kind) or self.entry_of_another(key)
        self.foreign.add(value)
        self.client.set(key, value)

    def entry_of_another(self, key: str) -> bytes:
        other = ENTRIES[0] if key == ENTRIES[1] else ENTRIES[1]
        with suppress(redis.ResponseError):  # a list
            return self.client.get(other) or b""
        return b""

    @rule(row=st.sampled_from(range(len(LEASES))))
    def ask_when_no_lease_is_held(self, row: int) -> None:
        """A lease that is none must not make a read wait. Those of paused reads end first."""
        with suppress(redis.ResponseError):
            if self.client.pttl(LEASES[row]) >= 0:
                self.client.delete(LEASES[row])
        paused = self.run(self.begin_now(row, 0.0), 10, None)
        assert not (isinstance(paused, PausedRead) and isinstance(paused.step, Wait)), (
            "it waits for a lease that is none"
        )

    def is_ours(self, value: object) -> bool:
        return isinstance(value, bytes) and value not in self.foreign

    def check_lease_is_released(self, paused: PausedRead) -> None:
        with suppress(redis.ResponseError):  # a list
            super().check_lease_is_released(paused)
