"""What the cache may hold when it begins, and what can be done wrong."""

from __future__ import annotations

from typing import Final

from proofs.explorer.explore import Scenario
from proofs.explorer.model import Variant, World, entry_of

__all__ = ["BROKEN", "CORRECT", "scenarios"]

_TAG: Final = b"T" * 16
_MOVED: Final = b"M" * 16

CORRECT: Final = Variant("as it is")
BROKEN: Final = (
    Variant("one token for each client", token_per_client=True),
    Variant("tag versions of the moment of storing", late_versions=True),
    Variant("plain SET instead of compare-and-set", plain_set=True),
    Variant("DEL before COMMIT", invalidate_first=True),
    Variant("lease read only when acquiring", blind_look=True),
)


def scenarios(readers: int, writers: int = 2, drops: int = 1) -> list[Scenario]:
    """Return one scenario for each thing that the cache can hold at the beginning."""
    worlds = {
        "cold": World(),
        "a fresh entry": World(entry=entry_of(0, _TAG, fresh=True), tag=_TAG),
        "a stale entry": World(entry=entry_of(0, _TAG, fresh=False), tag=_TAG),
        "an entry that was taken out": World(entry=entry_of(0, _TAG, fresh=True), tag=_MOVED),
    }
    return [Scenario(name, world, readers, writers, drops) for name, world in worlds.items()]
