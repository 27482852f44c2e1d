"""An adversary that writes foreign values under any key at any time, and what must still be true of the readers.

It stands for a foreign program, for a bug, and for an operator with a client of the cache. It cannot put back what was
there before: nobody could tell an old entry with the old version of its tag from a current one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cacheaside.reading.entry import TOKEN_BYTES
from proofs.explorer.actors import ReadActor
from proofs.explorer.model import ENDLESS, NO_TOKEN, WRONG_TYPE, Mutant, SharedState, foreign_entries, foreign_failures
from proofs.explorer.moves import moves

__all__ = ["NEW_READER", "overwritten", "stuck_reader", "unhealed"]

# A read that nothing disturbs, with its refresh: look, acquire, load, store, and the looks of two leases that ended.
# Looks and acquires may have two parts.
_STEPS_AT_MOST: Final = 20
NEW_READER: Final = ReadActor(9)


def overwritten(shared: SharedState, number: int, mutant: Mutant) -> Iterator[tuple[str, SharedState]]:
    """Yield every state that can follow when one key gets another value, each with a description.

    `number` is another one each time: versions are random, so the adversary makes none twice.
    """
    for value in (WRONG_TYPE, NO_TOKEN, ENDLESS):
        yield f"the lease becomes {value!r}", shared._replace(lease=value)
    for name, failure in foreign_failures(shared.tag).items():
        yield f"the lease becomes a failure, {name}", shared._replace(lease=failure)
    for value in (WRONG_TYPE, NO_TOKEN, bytes([number]) * TOKEN_BYTES):
        yield f"the tag becomes {value!r}", shared._replace(tag=value)
    yield f"the entry becomes {WRONG_TYPE!r}", shared._replace(entry=WRONG_TYPE)
    for name, entry in foreign_entries(shared.tag, mutant).items():
        yield f"the entry becomes {name}", shared._replace(entry=entry)


def stuck_reader(shared: SharedState, readers: Sequence[ReadActor], acknowledged: int, mutant: Mutant) -> str | None:
    """Return a sentence if a reader waits for ever for a lease that no request holds, while all others do nothing."""
    if shared.lease_ends():
        return None
    for reader in readers:
        if not reader.done and not _alone(reader, shared, acknowledged, mutant)[1].done:
            return f"reader {reader.number} waits for ever"
    return None


def unhealed(shared: SharedState, acknowledged: int, mutant: Mutant) -> str | None:
    """Return a sentence unless one more read leaves an answer that the next read finds."""
    if shared.lease_ends():
        shared = shared.without("lease")
    healed, first = _alone(NEW_READER, shared._replace(loads=0), acknowledged, mutant)
    after, second = _alone(NEW_READER, healed, acknowledged, mutant)
    for reader in (first, second):
        if not reader.done or reader.answer is None or reader.answer < acknowledged:
            return f"a later read answers {reader.answer}"
    return None if after.loads == healed.loads else "every later read loads"


def _alone(reader: ReadActor, shared: SharedState, acknowledged: int, mutant: Mutant) -> tuple[SharedState, ReadActor]:
    """Return the state when `reader` is done, or has done too many steps, while nothing else happens."""
    for _ in range(_STEPS_AT_MOST):
        if reader.done:
            break
        _, _, shared, reader, *_ = moves(reader, shared, acknowledged, mutant)[0]
    return shared, reader
