"""PostgreSQL as Debian installs it, with pg_stat_statements, which the embedded PostgreSQL does not have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.servers.processes import HOST
from tests.support.missing_tool import skip_without_tool
from tests.support.ports import unclaimed_port

__all__ = ["debian_postgres"]

_NOBODY: Final = 65534


@contextmanager
def debian_postgres(folder: Path) -> Iterator[str]:
    """Start a server in `folder`, which its user may enter, and yield the superuser's URL. Skip the test without it."""
    extension = max(Path("/usr/share/postgresql").glob("*/extension/pg_stat_statements.control"), default=None)
    if extension is None:
        skip_without_tool("with pg_stat_statements", "Debian's package postgresql is not installed")
    programs = Path("/usr/lib/postgresql") / extension.parts[-3] / "bin"
    data, port = folder / "data", unclaimed_port()
    user: list[str] = []
    if os.geteuid() == 0:  # as which PostgreSQL refuses to run
        os.chown(folder, _NOBODY, _NOBODY)
        user = ["setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups"]
    settings = {"listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off"}
    settings |= {"port": str(port), "shared_preload_libraries": "pg_stat_statements"}
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "-N"]
    control = [*user, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*user, *initdb], cwd=folder, check=True, capture_output=True)
    subprocess.run([*control, "-o", options, "start"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql://postgres@{HOST}:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
