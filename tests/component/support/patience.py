"""The product's limits in time, and how long a server may take in most tests: one that is slow is not away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

import pytest

from cacheaside.drivers.cache import deadline, exchange, options
from cacheaside.drivers.postgres import commands, connection, rendering

__all__ = ["impatience", "make_patient"]

_PATIENT: Final[Mapping[str, Mapping[tuple[ModuleType, str], float]]] = {
    "cache": {
        (deadline, "CALL_S"): 20.0,
        (deadline, "_OPENING_S"): 20.0,
        (options, "CALL_S"): 20.0,
        (exchange, "_CONFIRM_MS"): 10_000,
    },
    "postgres": {
        (connection, "_CONNECT_S"): 30.0,
        (connection, "_PING_S"): 30.0,
        (rendering, "_GRACE_S"): 30.0,
        (commands, "_FOLLOW_UP_MS"): 30_000,
    },
}
_OWN: Final = {server: {limit: getattr(*limit) for limit in limits} for server, limits in _PATIENT.items()}


def make_patient(patch: pytest.MonkeyPatch) -> None:
    """Raise the limits for both servers, until `patch` is undone."""
    for limits in _PATIENT.values():
        for (module, name), patient in limits.items():
            patch.setattr(module, name, patient)


@contextmanager
def impatience(server: str) -> Iterator[None]:
    """Within this block the limits for one server, "cache" or "postgres", are as short as in production."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), own in _OWN[server].items():
            patch.setattr(module, name, own)
        yield
