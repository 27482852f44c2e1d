"""A circuit breaker: stop calls to a server that fails too often, until a probe shows that it answers again.

               two of the last ten calls failed
      CLOSED ────────────────────────────────────► OPEN ◄───────────┐
        ▲                                           │  pause over:  │ it failed: the next pause is
        └───────── it succeeded ──────────────── probe is due ──────┘ twice as long, up to a limit

All kinds of call count together, and no success deletes a failure. So cheap calls that succeed do not hide expensive
ones that fail. Results do not expire by time: a sandbox with one request a minute would never open its breaker. The
first pause is short, so a breaker that opens by mistake costs little. If it opens again within ten calls, the pause is
doubled. So a server that answers the probe and fails the calls is not asked often.

It does no I/O, and it is not safe for threads. It need not be: a sandbox serves one request at a time, and its tasks
end before the next request. After M. Nygard, "Release It!" (2007), §5.2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["Breaker", "BreakerRules"]

_RESULTS: Final = 10
_FAILURES: Final = 2
# The share of a pause that chance may remove, so that sandboxes that fail together do not probe together.
_JITTER: Final = 0.5


class BreakerRules(NamedTuple):
    """For how long to open: at first `pause_ms`, at most `pause_at_most_ms`."""

    pause_ms: int
    pause_at_most_ms: int


class Breaker:
    """The state of one kind of call, as observed by this process. `on_open` is told the length of each pause in ms."""

    def __init__(
        self,
        rules: BreakerRules,
        now_ms: Callable[[], int],  # of a clock that is never set back
        chance: Callable[[], float],  # in [0, 1)
        on_open: Callable[[int], object],
    ) -> None:
        self._rules = rules
        self._now_ms = now_ms
        self._chance = chance
        self._on_open = on_open
        self._results: deque[bool] = deque(maxlen=_RESULTS)  # since it closed; True for a failure
        self._pause_ms = rules.pause_ms  # the next pause, before jitter
        self._due_ms = 0  # when the pause is over
        self.is_open = False

    def record(self, *, failed: bool) -> None:
        """Count the result of a call. It is ignored while the breaker is open."""
        if self.is_open:
            return
        self._results.append(failed)
        if failed and sum(self._results) >= _FAILURES:
            self._open()
        elif len(self._results) == _RESULTS:
            self._pause_ms = self._rules.pause_ms

    def is_due(self) -> bool:
        """Return whether it is open and its pause is over."""
        return self.is_open and self._now_ms() >= self._due_ms

    def is_overdue(self) -> bool:
        """Return whether its pause has been over for so long that the failures before it say nothing any more."""
        return self.is_open and self._now_ms() >= self._due_ms + self._rules.pause_at_most_ms

    def report(self, *, failed: bool) -> None:
        """Take the result of a call, which is a probe while it is open."""
        if self.is_open:
            self.probed(answered=not failed)
        else:
            self.record(failed=failed)

    def probed(self, *, answered: bool) -> None:
        """Take the result of a probe while it is open. Before the pause is over, only an answer changes something."""
        if answered:
            self.is_open = False
        elif self.is_due():
            self._open()

    def _open(self) -> None:
        pause_ms = self._pause_ms - int(self._pause_ms * _JITTER * self._chance())
        self._pause_ms = min(self._pause_ms * 2, self._rules.pause_at_most_ms)
        self._results.clear()
        self.is_open, self._due_ms = True, self._now_ms() + pause_ms
        self._on_open(pause_ms)
