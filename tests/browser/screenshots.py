"""A screenshot for each state of the pages. CI keeps the folder, and a reviewer looks at it."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

from tests.support.root import ROOT

__all__ = ["keep_screenshot"]

_FOLDER: Final = ROOT / ".local" / "screenshots"


def keep_screenshot(page: Page, name: str) -> None:
    """Keep what the window shows now as .local/screenshots/`name`.png."""
    page.screenshot(path=_FOLDER / f"{name}.png")
