"""The statements that the user of a database may not run, as a file for its administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from local import ROOT
from local.adoption.look import Database, Relation

__all__ = ["FILE", "needed", "write_file"]

FILE: Final = ROOT / "for-the-administrator.sql"

_CREATE_ROLE: Final = "create role "
_HEAD: Final = """\
-- Written by `cacheaside init`, for a superuser of the database {database}: on RDS the master user.
-- All of it can be run again. Then {user} runs `cacheaside init` again, which goes on.
"""


def needed(database: Database, relations: Sequence[Relation]) -> dict[str, str]:
    """Return what the user may not do, each statement with the reason why it is needed."""
    statements: dict[str, str] = {}
    if not database.may_create_roles:
        for statement in database.missing:
            if statement.startswith(_CREATE_ROLE):
                statement = f"do $$ begin {statement}; exception when duplicate_object then null; end $$"
            statements[statement] = "the roles of the functions, without passwords, for all databases of the server"
    if not database.has_schema and not database.may_create_schema:
        statements[f"grant create on database {database.name} to {database.user}"] = "for the schema cacheaside"
    for each in relations:
        if not each.unwatchable and not each.owned:
            statements[f"grant {each.owner} to {database.user}"] = "only the owner of a table can have it watched"
    # Not needed for itself: without it a missing grant does not show on this machine.
    if statements and not database.has_iam:
        reason = f"so that {database.user} can try out the rights of these roles"
        statements |= {f"grant {role} to {database.user}": reason for role in database.closed}
    return statements


def write_file(database: Database, statements: Mapping[str, str]) -> Path:
    """Write the statements to `FILE`, and return it."""
    lines = [_HEAD.format(database=" ".join(database.name.split()), user=" ".join(database.user.split()))]
    for reason, group in groupby(statements.items(), key=itemgetter(1)):
        lines += [f"-- {reason[0].upper()}{reason[1:]}.", *(f"{statement};" for statement, _ in group), ""]
    FILE.write_text("\n".join(lines), encoding="utf-8")
    return FILE
