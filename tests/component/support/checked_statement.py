"""The check of a catalogue of one statement, whose file is written here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psycopg2

from cacheaside.catalogue_check.check import check_statements
from cacheaside.catalogue_check.findings import CatalogueCheck
from cacheaside.drivers.postgres.introspection.inspector import inspecting

__all__ = ["checked_command", "checked_query"]


def checked_query(
    url: str, folder: Path, sql: str, *tags: str, settings: str = 'ttl = "60s"', **types: str
) -> CatalogueCheck:
    """Check one query with these tags and parameters: `id="integer"`, `size="enum:s,m"`."""
    listed = ", ".join(f'"{tag}"' for tag in tags)
    return _checked(url, folder / "queries", f"-- {settings}\n-- tags = [{listed}]\n", types, sql)


def checked_command(url: str, folder: Path, sql: str, **types: str) -> CatalogueCheck:
    """Check one command."""
    return _checked(url, folder / "commands", "", types, sql)


def _checked(url: str, folder: Path, header: str, types: Mapping[str, str], sql: str) -> CatalogueCheck:
    folder.mkdir(parents=True, exist_ok=True)
    parameters = "".join(f"-- params.{name} = {{ {_options(kind)} }}\n" for name, kind in types.items())
    (folder / "q.sql").write_text(f'-- summary = "x"\n{header}{parameters}{sql}\n')
    with closing(psycopg2.connect(url)) as connection, inspecting(connection) as database:
        return check_statements(folder.parent, database)


def _options(kind: str) -> str:
    kind, _, values = kind.partition(":")
    return f'type = "{kind}"' + (f", values = {values.split(',')}" if values else "")
