"""The windows in which the documents are looked at."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import pytest

__all__ = ["DESKTOP", "PHONE", "View", "in_both_views"]


class View(NamedTuple):
    """A window."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


DESKTOP: Final = View("desktop-light", 1280, 800, "light")
PHONE: Final = View("phone-dark", 390, 844, "dark")

in_both_views = pytest.mark.parametrize("view", [DESKTOP, PHONE], ids=lambda view: view.name, indirect=True)
"""Marks a test whose `page` is opened in each window in turn. Without it, a page is opened in DESKTOP."""
