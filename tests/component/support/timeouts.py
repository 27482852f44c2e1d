"""Longer timeouts for most tests, so that a server on a slow machine does not count as unavailable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from cacheaside.drivers import guarded
from cacheaside.drivers.cache import cache, deadline, exchange, options, verified
from cacheaside.drivers.postgres import commands, connection, rendering

__all__ = ["lengthen_timeouts", "lengthen_timeouts_in", "production_timeouts_of"]

_LONG: Final[Mapping[str, Mapping[tuple[ModuleType, str], float]]] = {
    "cache": {
        (deadline, "CALL_S"): 20.0,
        (deadline, "_OPENING_S"): 20.0,
        (options, "CALL_S"): 20.0,
        (exchange, "_CONFIRM_MS"): 10_000,
        (guarded, "_LEAST_S"): 20.0,
        (cache, "LEASE_MS"): 60_000,
        (verified, "_SCANS_AT_MOST_S"): 60.0,
    },
    "postgres": {
        (connection, "_CONNECT_S"): 30.0,
        (connection, "_PING_S"): 30.0,
        (rendering, "_GRACE_S"): 30.0,
        (commands, "_FOLLOW_UP_MS"): 30_000,
    },
}
_PRODUCTION: Final = {server: {limit: getattr(*limit) for limit in limits} for server, limits in _LONG.items()}


def lengthen_timeouts(patch: pytest.MonkeyPatch) -> None:
    """Lengthen the timeouts for both servers, until `patch` is undone."""
    for limits in _LONG.values():
        for (module, name), seconds in limits.items():
            patch.setattr(module, name, seconds)


def lengthen_timeouts_in(project: Path) -> None:
    """Lengthen them in a copy of this project, before its processes start."""
    for limits in _LONG.values():
        for (module, name), seconds in limits.items():
            path = project.joinpath("layers", "cacheaside", *module.__name__.split(".")).with_suffix(".py")
            path.write_text(f"{path.read_text()}\n{name} = {seconds}\n")


@contextmanager
def production_timeouts_of(server: str) -> Iterator[None]:
    """Within the block the timeouts for one server, "cache" or "postgres", are those of production."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), seconds in _PRODUCTION[server].items():
            patch.setattr(module, name, seconds)
        yield
