"""The product's limits in time, and how long a machine may take that stops for seconds and means nothing by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

import pytest

from cacheaside.drivers.cache import exchange
from cacheaside.drivers.postgres import commands, connection, rendering

__all__ = ["impatience", "make_patient"]

_PATIENT: Final[Mapping[tuple[ModuleType, str], float]] = {
    (exchange, "CALL_S"): 20.0,
    (exchange, "_OPENING_S"): 20.0,
    (exchange, "_CONFIRM_MS"): 10_000,
    (connection, "_CONNECT_S"): 30.0,
    (connection, "_PING_S"): 30.0,
    (rendering, "_GRACE_S"): 30.0,
    (commands, "_ASIDE_MS"): 30_000,
}
_OWN: Final = {limit: getattr(*limit) for limit in _PATIENT}


def make_patient(patch: pytest.MonkeyPatch) -> None:
    """Raise every limit, until `patch` is undone."""
    for (module, name), patient in _PATIENT.items():
        patch.setattr(module, name, patient)


@contextmanager
def impatience(*modules: ModuleType) -> Iterator[None]:
    """For the moment in which a patient test has a server away: the limits of these modules are as in production."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), own in _OWN.items():
            if module in modules:
                patch.setattr(module, name, own)
        yield
