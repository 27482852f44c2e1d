"""A circuit breaker: leave a server alone that does not answer, and notice by itself when it answers again.

                 N failures in a row
      CLOSED ───────────────────────────► OPEN ◄─────────────┐
        ▲                                  │ pause over:     │ it failed: the pause
        │                                  ▼ the next caller │ is doubled, up to a limit
        └───── it succeeded ─────────── HALF_OPEN ───────────┘
                                           ▲  │ is the one probe
                                           └──┘ never reported: the next caller takes its place

It does no I/O: whoever calls the server asks `admit` before, and reports after. Not for threads: a sandbox serves one
request at a time, and what it does after a response is over before the next request.
After M. Nygard, "Release It!" (2007), §5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

__all__ = ["Breaker", "BreakerRules", "BreakerState", "Ticket"]

Ticket = NewType("Ticket", int)
"""Leave to call the server once, to be handed back with the result."""

# Share of a pause by which it may be shortened, so that a fleet that failed together does not probe together.
_JITTER: Final = 0.5


class BreakerState(Enum):
    """What becomes of a call."""

    CLOSED = "closed"  # goes through
    OPEN = "open"  # is refused
    HALF_OPEN = "half-open"  # one goes through, to see


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When to open, and for how long. `probe_ms` is the longest that a call can take."""

    failures: int
    pause_ms: int
    pause_at_most_ms: int
    probe_ms: int


class Breaker:
    """The state of one server, as the calls of this process have found it."""

    def __init__(
        self,
        rules: BreakerRules,
        now_ms: Callable[[], int],
        chance: Callable[[], float],  # in [0, 1)
        on_change: Callable[[BreakerState], object] = lambda _: None,
    ) -> None:
        self._rules = rules
        self._now_ms = now_ms
        self._chance = chance
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._failures = 0  # in a row, while closed
        self._pause_ms = rules.pause_ms  # of the next time that it opens, before jitter
        self._since_ms = 0  # when it opened, or when the probe set out
        self._until_next_ms = 0  # from then to the next probe
        self._ticket = Ticket(0)  # the only one whose report still counts

    @property
    def state(self) -> BreakerState:
        """The state as of the last call; an open breaker whose pause is over is still open until it is asked."""
        return self._state

    def admit(self) -> Ticket | None:
        """Return the ticket of a call that may be made now, or None if the server is to be left alone."""
        if self._state is BreakerState.CLOSED:
            return self._ticket
        # A clock that was set back must not keep us waiting: then the time passed is negative, and counts as over.
        if 0 <= self._now_ms() - self._since_ms < self._until_next_ms:
            return None
        self._enter(BreakerState.HALF_OPEN, self._rules.probe_ms)
        return self._ticket

    def succeeded(self, ticket: Ticket) -> None:
        """The call of `ticket` was answered."""
        if ticket != self._ticket:
            return  # it set out before the last change, and tells of a time that is past
        self._failures = 0
        if self._state is BreakerState.HALF_OPEN:
            self._pause_ms = self._rules.pause_ms
            self._enter(BreakerState.CLOSED, 0)

    def failed(self, ticket: Ticket) -> None:
        """The call of `ticket` was not answered."""
        if ticket != self._ticket:
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._rules.failures:
            self._open()

    def _open(self) -> None:
        pause_ms = self._pause_ms
        self._failures = 0
        self._pause_ms = min(pause_ms * 2, self._rules.pause_at_most_ms)
        self._enter(BreakerState.OPEN, pause_ms - int(pause_ms * _JITTER * self._chance()))

    def _enter(self, state: BreakerState, until_next_ms: int) -> None:
        changed = state is not self._state
        self._state = state
        self._since_ms, self._until_next_ms = self._now_ms(), until_next_ms
        self._ticket = Ticket(self._ticket + 1)
        if changed:
            self._on_change(state)
