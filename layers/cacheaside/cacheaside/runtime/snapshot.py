"""What a sandbox renews that Lambda has started from a snapshot (SnapStart), and not by running init itself.

The snapshot is taken once, after init and before any event, and every sandbox of a version begins as a copy of it. So
none may carry on what only one of them can have:

    random numbers     the generator's state is in the snapshot: each sandbox would jitter, pause and refresh early just
                       as all others do. Tokens come from the system, which Lambda keeps apart
    connections        the peer has long closed them. Init opens none, but may one day
    breakers, answers  follow from calls, and init makes none
    credentials        are not in the environment of such a function: see `drivers.iam`

The runtime says when: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html. What the thread
of `after_response` makes of it stands there.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["after_restore"]


def after_restore(*renewals: Callable[[], object]) -> None:
    """Call `renewals` in each sandbox that starts from a snapshot, and seed its random numbers anew.

    To be called during init. Does nothing where there is no such runtime; with SnapStart off, the runtime does nothing.
    A renewal that raises makes Lambda give up the sandbox.
    """
    try:
        from snapshot_restore_py import register_after_restore  # type: ignore[import-not-found]
    except ImportError:
        return
    for renew in (random.seed, *renewals):
        register_after_restore(renew)
