"""All targets by name. Some run servers while they are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from proofs.fuzz import catalogues, entries, events, parameters, postgres, sql, valkey
from proofs.fuzz.target import Target

__all__ = ["GUIDED", "TARGETS"]

TARGETS: Final[Mapping[str, Callable[[], AbstractContextManager[Target]]]] = {
    "parameters": lambda: nullcontext(parameters.TARGET),
    "entry": lambda: nullcontext(entries.TARGET),
    "catalogue": catalogues.opened,
    "postgres": postgres.opened,
    "valkey": valkey.opened,
    "sql": sql.opened,
    "events": events.opened,
}

# Those whose check calls only code of the library, in this process. What a server does is no guide.
GUIDED: Final = ("parameters", "entry", "catalogue")
