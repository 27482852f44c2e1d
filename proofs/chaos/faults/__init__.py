"""The faults that a campaign draws from. Each file holds those that hit one part of the stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proofs.chaos.faults.fault import Fault, FaultSteps

__all__ = ["FAULTS", "Fault", "FaultSteps"]

FAULTS: Final[Sequence[Fault]] = ()
