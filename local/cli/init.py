"""The command init."""

from __future__ import annotations

import click

from local.cli.consent import require_consent
from local.cli.main import FAILED, PROBLEMS

__all__ = ["init"]


@click.command()
@click.option(
    "--database-url",
    required=True,
    metavar="URL",
    envvar="DATABASE_URL",
    help="postgresql://user:password@host:5432/name, percent-encoded. Without it, DATABASE_URL is read.",
)
@click.option(
    "--schema", "schemas", multiple=True, metavar="S", help="Only tables of this schema. May be given several times."
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="T",
    help="Watch only this table. May be given several times. Once a migration is there, tell whether it is watched.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON, and carry it out only with --yes.")
def init(database_url: str, schemas: tuple[str, ...], tables: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Put cacheaside in front of your own PostgreSQL database.

    Looks at the database, shows all that it will change there and in functions/catalogue/, and asks. Then it takes the
    sample out of the catalogue, writes and applies the first migration, and records the URL for later commands.
    It can be repeated at any time.

    \b
    cacheaside init --database-url postgresql://ann@db.example/shop
    cacheaside init --database-url … --table orders --table sales.region --yes

    Exit status 1 if nothing is to be done and a --table is not watched; 3 if it cannot work, or if an administrator
    must first run for-the-administrator.sql; 130 if declined.
    """
    from local.adoption.init import carry_out, write_for_administrator
    from local.adoption.plan import make_plan
    from local.cli.output import print_json
    from local.terminal import print_line, printable, short_path

    plan = make_plan(database_url, schemas, tables)
    if as_json:
        print_json(plan.document())
    else:
        print_line(plan.text())
    if plan.is_done:
        return PROBLEMS if tables and plan.unwatched else 0
    print_message = (lambda text: click.echo(printable(text, keep="\n\t"), err=True)) if as_json else print_line
    if as_json and not yes:
        return FAILED if plan.for_administrator else 0
    question = "Write for-the-administrator.sql?" if plan.for_administrator else "Do all this?"
    if not yes:
        require_consent(f"\n{question}")
    if plan.for_administrator:
        path = short_path(write_for_administrator(plan))
        print_message(
            f"\nNothing was changed. Have {path} run by a superuser, on RDS by the master user. Then run the same "
            "command again."
        )
        return FAILED
    carry_out(plan, print_message)
    return 0
