"""The database of this checkout: its URL is recorded by `cacheaside init`, in a file that git ignores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from local import ROOT
from local.errors import LocalError
from local.postgres_urls import canonical_url

__all__ = ["database_url", "forget_url", "own_database_url", "record_url", "recorded_url"]

# Not in .local: `make clean` removes that folder.
_FILE: Final = ROOT / "cacheaside.env"
_KEY: Final = "DATABASE_URL"


def database_url() -> str | None:
    """Return the URL of DATABASE_URL, else the recorded one, else None: the embedded database. Raises `LocalError`."""
    url = os.environ.get(_KEY) or recorded_url()
    return canonical_url(url) if url else None


def recorded_url() -> str | None:
    """Return the recorded URL, or None. Raises `LocalError` for a file without one."""
    if not _FILE.exists():
        return None
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    url = next((line.partition("=")[2].strip() for line in lines if line.startswith(f"{_KEY}=")), "")
    if not url:
        raise LocalError(f"{_FILE.name} has no line {_KEY}=…: remove the file, or run `cacheaside init` again")
    return url


def own_database_url() -> str:
    """Return `database_url`. Raises `LocalError` where it is None."""
    if url := database_url():
        return url
    raise LocalError("there is no database of your own: run `cacheaside init`, or set DATABASE_URL")


def record_url(url: str) -> Path:
    """Record `url` for later commands, and return the file. Only its owner may read it: a URL may hold a password."""
    fresh = _FILE.with_name(f"{_FILE.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(f"# Written by `cacheaside init`. Not for git: it may hold a password.\n{_KEY}={url}\n")
    return fresh.replace(_FILE)


def forget_url() -> None:
    """Remove the recorded URL."""
    _FILE.unlink(missing_ok=True)
