"""Carries out a plan of `cacheaside init`. Each step can be repeated, so a plan that failed half-way is begun again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from psycopg2.extensions import connection as Connection

from local.adoption import administrator
from local.adoption.migrate import migrate
from local.adoption.plan import MIGRATION, Plan
from local.connecting import connected
from local.recorded_url import record_url
from local.terminal import PrintLine, short_path

__all__ = ["carry_out", "write_for_administrator"]

_NEXT = """
Next:
  cacheaside advise     which queries a cache would help
  cacheaside new NAME   a query from SQL
  cacheaside run        the API on this machine"""


def write_for_administrator(plan: Plan) -> Path:
    """Write the file of the statements that the user may not run, and return it."""
    return administrator.write_file(plan.database, plan.for_administrator)


def carry_out(plan: Plan, print_line: PrintLine) -> None:
    """Change the catalogue and the database as planned. Raises `LocalError`, and can then be called again."""
    plan.sample.take_out()
    if plan.migration:
        MIGRATION.parent.mkdir(parents=True, exist_ok=True)
        MIGRATION.write_text(plan.migration, encoding="utf-8")
    _declared, report = migrate(plan.url, print_line)
    with connected(plan.url) as connection:
        _become_member(connection, plan.memberships)
    path = record_url(plan.url)
    administrator.FILE.unlink(missing_ok=True)
    print_line(f"Recorded the URL in {short_path(path)}")
    if report:
        print_line(report)
    print_line(_NEXT)


def _become_member(connection: Connection, roles: Iterable[str]) -> None:
    """From PostgreSQL 16 on, who creates a role administers it, but cannot act as it."""
    for role in roles:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"grant {role} to current_user")
