"""Starts the processes of a run, and starts those again that `fault_injection` killed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, Final

from proofs.consistency.history import fork

__all__ = ["API_READER", "API_WRITER", "INVALIDATE", "OUTBOX_CHECKER", "SCHEMA_CHANGER", "SQL_WRITER", "Supervisor"]

API_READER: Final = "API process that reads"
API_WRITER: Final = "API process that writes"
SQL_WRITER: Final = "SQL writer"
SCHEMA_CHANGER: Final = "schema changer"
INVALIDATE: Final = "invalidate process"
OUTBOX_CHECKER: Final = "outbox checker"


class Supervisor:
    """Processes, each with a role. One that was killed is started again by `restart`."""

    def __init__(self) -> None:
        self._starts: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = []
        self._processes: list[BaseProcess] = []

    def add(self, role: str, target: Callable[..., None], *arguments: Any) -> None:
        """Start a process of that role."""
        self._starts.append((role, target, arguments))
        self._processes.append(self._start(len(self._processes)))

    def restart(self) -> None:
        """Start the killed processes again. Raises RuntimeError if a process ended by itself."""
        for number, process in enumerate(self._processes):
            if process.is_alive():
                continue
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"{self._starts[number][0]} ended with status {process.exitcode}")
            self._processes[number] = self._start(number)

    def choose(self, *roles: str) -> tuple[str, int]:
        """Return role and process id of a random process that has one of `roles`."""
        number = random.choice([number for number, (role, _, _) in enumerate(self._starts) if role in roles])
        return self._starts[number][0], self._processes[number].pid or 0

    def stop(self, *roles: str) -> None:
        """Kill the processes that have one of `roles`, or all if none is given."""
        for number, (role, _, _) in enumerate(self._starts):
            if not roles or role in roles:
                self._processes[number].kill()
                self._processes[number].join()

    def _start(self, number: int) -> BaseProcess:
        _, target, arguments = self._starts[number]
        process = fork.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process
