"""How the workers of pytest-xdist share the tests: a file runs on one worker, in its order."""

from __future__ import annotations

from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ["Scheduling", "longest_first"]

# One stack, Docker engine or browser for the whole folder. Two proofs at once would leave each other too little of a
# small machine to meet enough faults.
_TOGETHER: Final = (
    "tests/browser/",
    "tests/component/proofs/",
    "tests/component/runbooks/",
    "tests/deployment/",
    "tests/e2e/",
    "tests/emulator/",
)
# What starts last should end soon, else one worker works alone at the end.
_LONGEST: Final = (
    "tests/deployment/",
    "tests/component/proofs/",
    *_TOGETHER,
    "tests/component/bench/",
    "tests/conformance/",
    "tests/component/local/",
    "tests/component/reading/",
    "tests/unit/proofs/",
    "tests/component/",
    "tests/template/",
)


class Scheduling(LoadScopeScheduling):
    """Gives a worker that is free the next file, folder or test."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, _TOGETHER), nodeid.partition("::")[0])


def longest_first(items: list[pytest.Item]) -> None:
    """Sort in place; tests of the same rank keep their order."""
    items.sort(
        key=lambda item: next((n for n, part in enumerate(_LONGEST) if item.nodeid.startswith(part)), len(_LONGEST))
    )
