"""Calls made at the same moment, each in a process of its own, as sandboxes are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["at_once"]

_fork = multiprocessing.get_context("fork")


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return what each call returned, or None for one that died.

    What is open in this process is not to be used by the calls: connections cannot be shared.
    """
    barrier = _fork.Barrier(len(calls))
    pairs = [_fork.Pipe(duplex=False) for _ in calls]

    def run(index: int) -> None:
        barrier.wait()
        pairs[index][1].send(calls[index]())

    processes = [_fork.Process(target=run, args=[index]) for index in range(len(calls))]
    for process in processes:
        process.start()
    results = []
    for process, (receiver, sender) in zip(processes, pairs, strict=True):
        sender.close()
        try:
            results.append(receiver.recv())
        except EOFError:
            results.append(None)
        process.join()
    return results
