"""Resets the state that a sandbox must not take over from a snapshot (SnapStart).

Lambda takes the snapshot once, after init and before any event. Every sandbox of a version starts as a copy of it,
without running init. State that must differ between sandboxes:

    random numbers     the snapshot has the generator's state, so all sandboxes would jitter, pause and refresh early at
                       the same moments. Tokens come from the operating system, which Lambda seeds for each sandbox
    connections        the peer has closed them since. Init opens none today, and may open some later
    breakers, answers  change with calls, and init makes none
    credentials        are not in the environment of such a function: see `drivers.iam`

The runtime calls the hooks: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. For the
thread of `after_response`, see there.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["after_restore"]


def after_restore(*resets: Callable[[], object]) -> None:
    """Seed the random numbers and call `resets`, in each sandbox that starts from a snapshot.

    Must be called during init. Does nothing outside Lambda. With SnapStart off, the runtime never calls them. If one of
    them raises, Lambda discards the sandbox.
    """
    try:
        from snapshot_restore_py import register_after_restore  # type: ignore[import-not-found]
    except ImportError:
        return
    for reset in (random.seed, *resets):
        register_after_restore(reset)
