"""Calls made at the same moment, each in a process of its own, like the sandboxes of a function."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["call_simultaneously"]

_fork = multiprocessing.get_context("fork")


def call_simultaneously(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return the result of each call, or None where its process died.

    The calls must not use connections that are open in this process: processes cannot share them.
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
