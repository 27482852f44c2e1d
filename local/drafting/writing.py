"""Writes a drafted file into the catalogue, and says what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cacheaside.catalogue.durations import parse_duration_ms
from local.catalogue_database import catalogue_database
from local.catalogue_folder import catalogue_folder
from local.connecting import connected
from local.drafting.draft import Wanted, draft
from local.errors import LocalError
from local.terminal import print_line, short_path

__all__ = ["NewFile", "write_new"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class NewFile:
    """The file that is asked for."""

    name: str
    sql: str
    is_command: bool
    ttl: str
    returns: str
    force: bool


def write_new(wanted: NewFile) -> bool:
    """Write the file and print it. Return whether the check finds no problem in it. Raises `LocalError`."""
    if not _NAME.fullmatch(wanted.name):
        raise LocalError(f"{wanted.name!r} cannot be a route: use a-z, 0-9 and _, such as top_products")
    try:
        parse_duration_ms(wanted.ttl)
    except ValueError as error:
        raise LocalError(f"--ttl: {error}") from None
    path = catalogue_folder() / ("commands" if wanted.is_command else "queries") / f"{wanted.name}.sql"
    if path.exists() and not wanted.force:
        raise LocalError(f"{short_path(path)} exists: choose another name, or overwrite it with --force")
    asked = Wanted(wanted.name, wanted.sql, is_command=wanted.is_command, ttl=wanted.ttl, returns=wanted.returns)
    with catalogue_database() as url, connected(url) as connection:
        drafted = draft(connection, asked)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drafted.text, encoding="utf-8")
    print_line(f"{short_path(path)}\n\n{drafted.text}")
    print_line(f"Columns of the answer: {', '.join(drafted.columns) or 'none'}")
    for each in drafted.problems:
        print_line(f"{short_path(path)}:{each.line}: {each.message}")
    for each in drafted.warnings:
        print_line(f"{short_path(path)}:{each.line}: warning: {each.message}")
    if any(each.fix for each in drafted.problems):
        print_line("`cacheaside check --fix` writes what is missing.")
    return not drafted.problems
