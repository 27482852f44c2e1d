"""What goes wrong while a run is on, at random: the cache is in trouble, and processes are killed and frozen.

Each of the two is a story of its own that waits between its events; the loop tells both at once.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator
from multiprocessing.process import BaseProcess
from typing import Any, Final

from proofs.consistency.caches import Kind, Trouble
from proofs.consistency.ledger import fork

__all__ = ["AUDITOR", "INVALIDATE", "JOB", "READER", "WRITER", "Chaos", "Crew"]

READER: Final = "API process that reads"
WRITER: Final = "API process that writes"
JOB: Final = "job"
INVALIDATE: Final = "invalidate process"
AUDITOR: Final = "auditor"

# Yields how many seconds to wait until it goes on.
Story = Generator[float, None, None]

_BETWEEN_DEATHS_S: Final = (0.1, 0.4)
_FROZEN_S: Final = (0.2, 2.0)
_FREEZES: Final = 0.5  # of what happens to an invalidate process


class Crew:
    """Processes that are started again when they have died, each with its role."""

    def __init__(self) -> None:
        self._starts: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = []
        self._processes: list[BaseProcess] = []

    def add(self, role: str, target: Callable[..., None], *arguments: Any) -> None:
        """Start a process of that role; an auditor is one that nobody kills."""
        self._starts.append((role, target, arguments))
        self._processes.append(self._start(len(self._processes)))

    def revive(self) -> None:
        """Start those again that have died. Raises RuntimeError if one of them did so by itself."""
        for number, process in enumerate(self._processes):
            if process.is_alive():
                continue
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"{self._starts[number][0]} ended with status {process.exitcode}")
            self._processes[number] = self._start(number)

    def one_of(self, *roles: str) -> tuple[str, int]:
        """Return role and process id of anyone who has one of `roles`."""
        chosen = [number for number, (role, _, _) in enumerate(self._starts) if role in roles]
        number = random.choice(chosen)
        return self._starts[number][0], self._processes[number].pid or 0

    def end(self, *roles: str) -> None:
        """Kill those who have one of `roles` for good, or everyone if there is none."""
        for number, (role, _, _) in enumerate(self._starts):
            if not roles or role in roles:
                self._processes[number].kill()
                self._processes[number].join()

    def _start(self, number: int) -> BaseProcess:
        _, target, arguments = self._starts[number]
        process = fork.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process


class Chaos:
    """Counts what it has done, by name."""

    def __init__(self, cache: Kind, crew: Crew, only: Trouble | None = None) -> None:
        """`only`: have nothing else happen to the cache."""
        self._cache = cache
        self._crew = crew
        self._only = only
        self.done: Counter[str] = Counter()

    def run(self, seconds: float, tick: Callable[[float], object]) -> None:
        """Do it for so long, and undo what is undone yet. `tick` is told the seconds that have passed."""
        began = time.monotonic()
        stories = dict.fromkeys((self._troubles(), self._deaths()), began)
        try:
            while (now := time.monotonic()) < began + seconds:
                for story, due in stories.items():
                    if due <= now:
                        stories[story] = now + next(story)
                tick(now - began)
                time.sleep(0.02)
        finally:
            for story in stories:
                story.close()
        self._crew.revive()

    def _troubles(self) -> Story:
        kinds = list(self._cache.trouble)
        weights = [weight for weight, _ in self._cache.trouble.values()]
        once = random.sample(kinds, len(kinds))  # before the rest is left to chance, so that a short run has all
        while True:
            yield random.uniform(*self._cache.calm_s)
            kind = self._only or (once.pop() if once else random.choices(kinds, weights)[0])
            yield from self._cache.trouble[kind][1]()
            self.done[f"cache {kind.value}"] += 1

    def _deaths(self) -> Story:
        while True:
            yield random.uniform(*_BETWEEN_DEATHS_S)
            self._crew.revive()
            role, process = self._crew.one_of(READER, WRITER, JOB, INVALIDATE)
            if role == INVALIDATE and random.random() < _FREEZES:
                yield from self._freeze(process)
                self.done[f"{role} frozen and thawed"] += 1
            else:
                os.kill(process, signal.SIGKILL)
                self.done[f"{role} killed"] += 1

    def _freeze(self, process: int) -> Story:
        os.kill(process, signal.SIGSTOP)
        try:
            yield random.uniform(*_FROZEN_S)
        finally:
            os.kill(process, signal.SIGCONT)
