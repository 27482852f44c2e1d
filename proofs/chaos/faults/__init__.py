"""The faults that a campaign draws from. Each file holds those that hit one part of the stack.

processes   servers and sandboxes killed or frozen      memory      a cache that takes no writes
network     slow, lossy or silent connections           clock       wall clocks that jump
database    restarts, limits, locks                     entries     foreign values in the cache
deployment  old and new code at once                    schema      DDL behind the queries
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proofs.chaos.faults.clock import CLOCK_FAULTS
from proofs.chaos.faults.database import DATABASE_FAULTS
from proofs.chaos.faults.deployment import DEPLOYMENT_FAULTS
from proofs.chaos.faults.entries import ENTRY_FAULTS
from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.chaos.faults.memory import MEMORY_FAULTS
from proofs.chaos.faults.network import NETWORK_FAULTS
from proofs.chaos.faults.processes import PROCESS_FAULTS
from proofs.chaos.faults.schema import SCHEMA_FAULTS

__all__ = ["FAULTS", "Fault", "FaultSteps"]

FAULTS: Final[Sequence[Fault]] = (
    *PROCESS_FAULTS,
    *MEMORY_FAULTS,
    *NETWORK_FAULTS,
    *CLOCK_FAULTS,
    *DATABASE_FAULTS,
    *ENTRY_FAULTS,
    *DEPLOYMENT_FAULTS,
    *SCHEMA_FAULTS,
)
