"""Injects the faults of a schedule, and measures after each how long the stack takes to recover."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from proofs.chaos.faults import Fault, FaultSteps
from proofs.chaos.history import History, Injected
from proofs.chaos.plan import Drawn
from proofs.chaos.recovery import latency_s, recovered_after_s
from proofs.chaos.stack import ChaosStack

__all__ = ["Injector"]

_TICK_S: Final = 0.02
_LOOK_S: Final = 0.25
# After that long the next fault comes, and this one counts as one from which the stack did not recover.
_WAITED_S: Final = 30.0


class Injector:
    """`failed` counts the injections that could not be made, by the name of the fault and the reason.

    A fault may need a server that another one has just hit. The run goes on, and its report says so.
    """

    def __init__(
        self, stack: ChaosStack, faults: Sequence[Fault], history: History, tick: Callable[[], object]
    ) -> None:
        self._stack = stack
        self._faults: Mapping[str, Fault] = {fault.name: fault for fault in faults}
        self._history = history
        self._tick = tick
        self.failed: Counter[str] = Counter()

    def run(self, schedule: Iterator[Drawn], until: float) -> None:
        """Inject until that time. The last fault is ended, and its recovery measured, after it."""
        healthy_p99_s = latency_s([each for each in self._history.operations if each.kind != "sql"], 0.99)
        for drawn in schedule:
            self._pause(drawn.healthy_s)
            if time.monotonic() >= until:
                return
            spans = self._inject(drawn)
            recovered_s = self._recover(max(end for _, _, end in spans), healthy_p99_s)
            for name, begin, end in spans:
                self._history.injected.append(Injected(name, self._faults[name].group, begin, end, recovered_s))

    def _inject(self, drawn: Drawn) -> list[tuple[str, float, float]]:
        """Inject the faults that were drawn. Returns name, begin and end of each."""
        began = time.monotonic()
        drawn_seeds = zip(drawn.faults, drawn.seeds, strict=True)
        waiting = [(began + at * drawn.later_s, name, seed) for at, (name, seed) in enumerate(drawn_seeds)]
        running: dict[str, tuple[FaultSteps, float]] = {}  # with the time of its next step
        begun: dict[str, float] = {}
        spans = []
        try:
            while waiting or running:
                now = time.monotonic()
                while waiting and waiting[0][0] <= now:
                    _, name, seed = waiting.pop(0)
                    begun[name] = now
                    running[name] = (self._faults[name].inject(self._stack, random.Random(seed)), now)
                for name, (steps, due) in list(running.items()):
                    if due > now:
                        continue
                    pause_s = self._step(name, steps)
                    if pause_s is None:
                        del running[name]
                        spans.append((name, begun[name], time.monotonic()))
                    else:
                        running[name] = (steps, time.monotonic() + pause_s)
                self._pause(_TICK_S)
        finally:
            for steps, _ in running.values():
                steps.close()  # type: ignore[attr-defined]  # a generator
        return spans

    def _step(self, name: str, steps: FaultSteps) -> float | None:
        """Take the next step of a fault. Returns how long to leave it like that, or None if it has ended."""
        try:
            return next(steps, None)
        except Exception as error:
            self.failed[f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:100]}"] += 1
            return None

    def _recover(self, end: float, healthy_p99_s: float) -> float | None:
        while (now := time.monotonic()) < end + _WAITED_S:
            self._pause(_LOOK_S)
            recovered_s = recovered_after_s(self._history.operations[-2000:], end, now, healthy_p99_s)
            if recovered_s is not None:
                return recovered_s
        return None

    def _pause(self, seconds: float) -> None:
        self._tick()
        time.sleep(seconds)
