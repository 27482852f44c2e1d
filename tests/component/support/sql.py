"""The type of the fixture `sql`."""

from collections.abc import Callable
from typing import Any

__all__ = ["Sql"]

Sql = Callable[..., list[tuple[Any, ...]]]
