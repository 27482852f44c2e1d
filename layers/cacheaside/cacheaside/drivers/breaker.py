"""A circuit breaker: stop calling a server that does not answer, and probe it until it answers again.

                 N failures in a row
      CLOSED ───────────────────────────► OPEN ◄─────────────┐
        ▲                                  │ pause over:     │ it failed: the pause
        │                                  ▼ the next caller │ is doubled, up to a limit
        └───── it succeeded ─────────── HALF_OPEN ───────────┘
                                           ▲  │ is the one probe
                                           └──┘ no result reported in time: the next caller is the probe

It does no I/O. The caller of the server asks `admit` before a call, and reports the result after it. It is not safe for
threads. It need not be: a sandbox serves one request at a time, and its tasks end before the next request.
After M. Nygard, "Release It!" (2007), §5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

__all__ = ["Breaker", "BreakerRules", "BreakerState", "Ticket"]

Ticket = NewType("Ticket", int)
"""Permission to call the server once. The caller reports the result with it."""

# The share of a pause that chance may remove, so that sandboxes that fail together do not probe together.
_JITTER: Final = 0.5


class BreakerState(Enum):
    """The state decides whether a call goes through."""

    CLOSED = "closed"  # every call goes through
    OPEN = "open"  # every call is refused
    HALF_OPEN = "half-open"  # one call goes through, as a probe


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """After how many failures to open, and for how long. `probe_ms` is the longest time that a call can take."""

    failures: int
    pause_ms: int
    pause_at_most_ms: int
    probe_ms: int


class Breaker:
    """The state of one server, as observed by the calls of this process."""

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
        self._pause_ms = rules.pause_ms  # the next pause, before jitter
        self._since_ms = 0  # when the breaker opened, or when the probe began
        self._until_next_ms = 0  # from then to the next probe
        self._ticket = Ticket(0)  # reports with any other ticket are ignored

    @property
    def state(self) -> BreakerState:
        """The state after the last call. When its pause is over, a breaker stays open until `admit` is called."""
        return self._state

    def admit(self) -> Ticket | None:
        """Return a ticket for one call now, or None if the call is refused."""
        if self._state is BreakerState.CLOSED:
            return self._ticket
        # If the clock was set back, the time passed is negative. The pause then counts as over, or it could last hours.
        if 0 <= self._now_ms() - self._since_ms < self._until_next_ms:
            return None
        self._enter(BreakerState.HALF_OPEN, self._rules.probe_ms)
        return self._ticket

    def succeeded(self, ticket: Ticket) -> None:
        """Report that the server answered the call of `ticket`."""
        if ticket != self._ticket:
            return  # the call began before the last change of state
        self._failures = 0
        if self._state is BreakerState.HALF_OPEN:
            self._pause_ms = self._rules.pause_ms
            self._enter(BreakerState.CLOSED, 0)

    def failed(self, ticket: Ticket) -> None:
        """Report that the server did not answer the call of `ticket`."""
        if ticket != self._ticket:
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._rules.failures:
            self._open()

    def abandoned(self, ticket: Ticket) -> None:
        """Report that the call of `ticket` ended and told nothing about the server: the next caller is the probe."""
        if ticket == self._ticket and self._state is BreakerState.HALF_OPEN:
            self._until_next_ms = 0

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
