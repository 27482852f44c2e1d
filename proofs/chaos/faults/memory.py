"""A cache that refuses or forgets what it is given: its memory is full, or its address leads to a replica."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.fault_proxy import bind_port
from local.servers.processes import HOST
from local.servers.valkey import ValkeyServer
from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.consistency.replicated_valkey import execute

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["MEMORY_FAULTS"]

_FULL_S: Final = (1.0, 4.0)
_READ_ONLY_S: Final = (0.5, 2.0)
_LIMITS: Final = ("maxmemory-policy", "maxmemory")


def _full(policy: str, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Allow each node less memory than it has in use, so that it refuses each write that needs memory.

    If the policy allows it, the node has evicted all keys before.
    """
    with _limits_restored(stack.cache.nodes):
        for node in stack.cache.nodes:
            execute(node, "CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", 1)
        yield rng.uniform(*_FULL_S)


def _evicting(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Allow each node the memory of half of its keys, so that each write evicts others."""
    with _limits_restored(stack.cache.nodes):
        for node in stack.cache.nodes:
            lines = execute(node, "INFO", "memory").decode().splitlines()
            memory = dict(line.split(":", 1) for line in lines if ":" in line)
            keys_half = int(memory["used_memory_dataset"]) // 2
            execute(node, "CONFIG", "SET", "maxmemory", int(memory["used_memory"]) - keys_half)
        yield rng.uniform(*_FULL_S)


@contextmanager
def _limits_restored(nodes: Sequence[ValkeyServer]) -> Iterator[None]:
    before = [execute(node, "CONFIG", "GET", *_LIMITS) for node in nodes]
    try:
        yield
    finally:
        for node, limits in zip(nodes, before, strict=True):
            execute(node, "CONFIG", "SET", *(word for limit in limits.items() for word in limit))


def _read_only(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Make the node a replica of a dead primary. It still answers reads, from data that no longer changes."""
    [node] = stack.cache.nodes
    with closing(bind_port(0)) as dead:
        execute(node, "REPLICAOF", HOST, dead.getsockname()[1])
        try:
            yield rng.uniform(*_READ_ONLY_S)
        finally:
            execute(node, "REPLICAOF", "NO", "ONE")


MEMORY_FAULTS: Final[Sequence[Fault]] = (
    Fault("memory of the cache full, without eviction", "cache", partial(_full, "noeviction")),
    Fault("memory of the cache full, all keys evicted", "cache", partial(_full, "volatile-lru")),
    Fault("memory of the cache full, half of the keys evicted", "cache", _evicting),
    Fault("a read-only replica at the address of the cache", "cache", _read_only, frozenset({"node", "pair"})),
)
