"""The command check."""

from __future__ import annotations

import click

from local.cli.consent import require_consent
from local.cli.main import PROBLEMS

__all__ = ["check"]


@click.command()
@click.option("--fix", is_flag=True, help="Write tags, and a migration with watches and grants, after showing them.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(fix: bool, yes: bool, as_json: bool) -> int:
    """Ask PostgreSQL whether each statement can run, and whether its tags are right.

    Reads the database of DATABASE_URL, or that of `cacheaside init`, and changes nothing in it. Without one, it starts
    an empty database with the migrations of the catalogue. CATALOGUE= names another folder than functions/catalogue.
    READ_AUTHORIZATION= and WRITE_AUTHORIZATION= are those of the stack: only with jwt can a parameter be a claim.

    With --fix it shows what it would write into the catalogue, asks, and writes it: lines of headers, and one new
    migration. `cacheaside migrate` applies the migration.

    Exit status 1 if there are problems, also after --fix.
    """
    from local import check as checks
    from local.cli.output import print_json
    from local.terminal import print_line

    if fix and as_json:
        raise click.UsageError("--json prints what --fix would write: give one of them")
    if as_json:
        findings = checks.findings_of_catalogue()
        print_json(findings)
        return PROBLEMS if any(each["severity"] == "error" for each in findings) else 0
    if fix:
        right = checks.fix_catalogue(print_line, (lambda: None) if yes else lambda: require_consent("Write this?"))
        return 0 if right else PROBLEMS
    right, report = checks.check_catalogue()
    print_line(report)
    return 0 if right else PROBLEMS
