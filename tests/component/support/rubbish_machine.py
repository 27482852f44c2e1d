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

KEYS: Final = st.sampled_from((*ENTRIES, *LEASES, *TAGS))
KINDS: Final = ("list", "empty", "short", "like a token", "of the other row")


class RubbishMachine(ReadPathMachine):
    """`foreign` are the values that the adversary has written. It writes no token twice, as nobody can guess one."""

    def __init__(self, cache: Any, client: Any) -> None:
        super().__init__(cache, client)
        self.foreign: set[object] = set()

    @rule(key=KEYS, kind=st.sampled_from(KINDS))
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

    @rule(row=st.sampled_from(range(len(LEASES))), key=KEYS, kind=st.sampled_from(KINDS))
    def overwrite_during_a_read(self, row: int, key: str, kind: str) -> None:
        """The read finds no entry. A lease that is none must not make it wait, and that of a paused read ends first."""
        self.client.delete(ENTRIES[row])
        with suppress(redis.ResponseError):
            if self.client.pttl(LEASES[row]) >= 0:
                self.client.delete(LEASES[row])
        asked = self.begin_now(row, 0.0)
        self.run(asked, 1, None)
        self.overwrite(key, kind)
        self.run(asked, 10, None)
        assert not isinstance(asked.step, Wait), "it waits for a lease that is none"

    def is_ours(self, value: object) -> bool:
        return isinstance(value, bytes) and value not in self.foreign

    def check_lease_is_released(self, paused: PausedRead) -> None:
        with suppress(redis.ResponseError):  # a list
            super().check_lease_is_released(paused)
