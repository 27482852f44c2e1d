"""A network that is slow, loses replies or goes silent, between the functions and each of the two servers.

A proxy works on bytes, so the same faults apply to the protocols of both servers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.fault_proxy import Fault as ProxyFault
from bench.fault_proxy import FaultProxy
from proofs.chaos.faults.fault import Fault, FaultSteps

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["NETWORK_FAULTS"]


class _Disturbance(NamedTuple):
    """What a proxy does. It is drawn from the ranges how late a message is, in seconds, and for how long that lasts."""

    text: str
    fault: ProxyFault
    late_s: tuple[float, float] = (0.0, 0.0)
    lasts_s: tuple[float, float] = (0.5, 3.0)


ProxiesOf = Callable[["ChaosStack"], Sequence[FaultProxy]]

# The library gives one call of the cache 200 ms, so it waits for the first, and gives up the second.
_SLOW_S: Final = (0.02, 0.15)
_LATE_S: Final = (0.25, 1.0)

_DISTURBANCES: Final = (
    _Disturbance("slow", ProxyFault.LATENCY, _SLOW_S),
    _Disturbance("later than its clients wait", ProxyFault.LATENCY, _LATE_S),
    _Disturbance("replies late", ProxyFault.LATE_ANSWER, _LATE_S),
    _Disturbance("replies lost with their connections", ProxyFault.RESET),
    _Disturbance("replies a byte at a time", ProxyFault.DRIP),
    _Disturbance("replies are noise", ProxyFault.GARBAGE),
    _Disturbance("connections cut and refused", ProxyFault.REFUSAL),
    _Disturbance("connections accepted, then silent", ProxyFault.SILENCE),
    _Disturbance("open connections silent, new ones work", ProxyFault.HALF_OPEN, lasts_s=(0.0, 0.2)),
)


def _disturb(disturbance: _Disturbance, proxies_of: ProxiesOf, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Disturb some connections to one server: all of those that pass one proxy, which is drawn."""
    proxy = rng.choice(proxies_of(stack))
    proxy.switch(disturbance.fault, latency_s=rng.uniform(*disturbance.late_s))
    try:
        yield rng.uniform(*disturbance.lasts_s)
    finally:
        proxy.switch(ProxyFault.NONE)


def _cache(stack: ChaosStack) -> Sequence[FaultProxy]:
    return stack.cache_proxies


def _database(stack: ChaosStack) -> Sequence[FaultProxy]:
    return [stack.database_proxy]


NETWORK_FAULTS: Final[Sequence[Fault]] = tuple(
    Fault(f"network of the {group}: {each.text}", group, partial(_disturb, each, proxies))
    for group, proxies in (("cache", _cache), ("database", _database))
    for each in _DISTURBANCES
)
