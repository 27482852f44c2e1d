"""What a fault is: a step of a campaign that breaks a part of the stack, leaves it broken for a while, and heals it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["ALL_CACHES", "Fault", "FaultSteps"]

# A fault in progress. Yields how many seconds to leave it like that. Its end removes the fault, and so does closing it.
FaultSteps = Iterator[float]

ALL_CACHES: Final = frozenset({"node", "cluster", "pair"})


def _possible(_: ChaosStack) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` is its row of the report. All random choices of `inject` are drawn from the Random that it is given.

    `group` is the part of the stack that it hits: "cache", "database" or "functions". Two faults may overlap if their
    groups differ. In one group the end of one fault could be in vain, because the other one still lasts.

    `needs` returns the reason why this machine cannot have the fault, or None. The report shows the reason.
    """

    name: str
    group: str
    inject: Callable[[ChaosStack, random.Random], FaultSteps]
    caches: frozenset[str] = ALL_CACHES
    needs: Callable[[ChaosStack], str | None] = _possible
