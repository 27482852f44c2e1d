"""The addresses of the stack that runs on this machine: `endpoints.env`, KEY=value lines for a shell."""

from __future__ import annotations

import fcntl
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Endpoints", "endpoints_file", "is_running", "read_endpoints"]


class Endpoints(NamedTuple):
    """The URLs. `api` is None where only the servers run."""

    database: str
    cache: str
    api: str | None = None


def read_endpoints(folder: Path) -> Endpoints | None:
    """Return the endpoints of the stack whose data is in `folder`, or None if none runs.

    The file of a stack that was killed remains: whoever connects finds out.
    """
    path = folder / "endpoints.env"
    if not path.exists():
        return None
    urls = dict(line.split("=", 1) for line in shlex.split(path.read_text()))
    return Endpoints(urls["DATABASE_URL"], urls["CACHE_URL"], urls.get("API_URL"))


def is_running(folder: Path) -> bool:
    """Return whether a process holds the lock of the stack in `folder`, as one does until it ends."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def endpoints_file(folder: Path, endpoints: Endpoints) -> Iterator[None]:
    """Keep the file for the time of the block. It is renamed when complete, so no reader sees half of it."""
    lines = {"API_URL": endpoints.api, "DATABASE_URL": endpoints.database, "CACHE_URL": endpoints.cache}
    path, fresh = folder / "endpoints.env", folder / "endpoints.env.new"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)  # a URL may hold a password
    fresh.write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in lines.items() if value))
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
