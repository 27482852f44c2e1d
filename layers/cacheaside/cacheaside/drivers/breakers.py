"""The breakers before one server, and their probe, which runs after the response. `guarded` uses it.

Each sandbox has breakers of its own, which see only its own calls. Breakers of a fleet could share their state only on
another server, and that could fail like these.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cacheaside.clock import FreezeClock
from cacheaside.drivers.breaker import Breaker, BreakerRules
from cacheaside.errors import CacheasideError

__all__ = ["PROBE_MS", "BreakerOptions", "Breakers"]

# A probe takes at most this long: it opens a connection (3 s for PostgreSQL) and sends a ping (1 s).
PROBE_MS: Final = 5_000


def _at_once(task: Callable[[], None]) -> None:
    task()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOptions:
    """The surroundings of breakers. `later` runs a probe after the response, and may drop it.

    `on_open` is told of each opening, with the length of the pause in ms. `now_ms` is a clock that is never set back.
    """

    later: Callable[[Callable[[], None]], object] = _at_once
    on_open: Callable[[int], object] = lambda _: None
    now_ms: Callable[[], int] = field(default_factory=FreezeClock)
    chance: Callable[[], float] = random.random


class Breakers:
    """The breakers before one server, by name, and their one probe.

    `probe` asks the server, and returns those of the names whose breakers that closes.
    """

    def __init__(
        self,
        rules: BreakerRules,
        refusal: CacheasideError,
        probe: Callable[[set[str]], set[str]],
        options: BreakerOptions | None,
    ) -> None:
        self._rules = rules
        self._refusal = refusal
        self._probe = probe
        self._options = options or BreakerOptions()
        self._breakers: dict[str, Breaker] = {}
        self._probe_lost_ms = 0  # when the last probe that was submitted counts as dropped, unless it has run

    def admit(self, name: str) -> Breaker:
        """Return the breaker of that name, for the result of the call. Raises the refusal if it is open.

        If its pause is over, a probe is submitted. It is not this call: no caller waits for a probe.
        """
        breaker = self.named(name)
        if breaker.is_open:
            if breaker.is_due() and self._options.now_ms() >= self._probe_lost_ms:
                self._probe_lost_ms = self._options.now_ms() + PROBE_MS
                self._options.later(self._run_probe)
            raise type(self._refusal)(f"{self._refusal}, and is not asked again for a while")
        return breaker

    def named(self, name: str) -> Breaker:
        """Return the breaker of that name, open or not."""
        breaker = self._breakers.get(name)
        if breaker is None:
            options = self._options
            breaker = self._breakers[name] = Breaker(self._rules, options.now_ms, options.chance, options.on_open)
        return breaker

    def _run_probe(self) -> None:
        try:
            names = {name for name, breaker in self._breakers.items() if breaker.is_open}
            answered = self._probe(names) if names else set()  # another probe may have closed them
            for name in names:
                self._breakers[name].probed(answered=name in answered)
        finally:
            self._probe_lost_ms = 0
