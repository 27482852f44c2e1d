"""Writes the best candidates into the catalogue, with what the check asks for beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from psycopg2.extensions import connection as Connection

from local.advice.ranking import Candidate
from local.advice.report import shortened, why
from local.drafting.draft import Draft, Wanted, draft, refuse_database
from local.drafting.fixes import find_fixes
from local.drafting.parameters import snake_case
from local.errors import LocalError
from local.terminal import PrintLine, short_path

__all__ = ["write_candidates"]

_LONGEST_NAME: Final = 63
_CONSTANT: Final = "perhaps a constant: its value was not recorded"


def write_candidates(
    connection: Connection, candidates: Sequence[Candidate], number: int, folder: Path, say: PrintLine
) -> bool:
    """Write the first `number` candidates that can be drafted, and one migration. Return whether the check is content.

    Changes nothing in the database, so it counts a finding that the migration corrects as corrected. Raises
    `LocalError`.
    """
    with connection, connection.cursor() as cur:
        refuse_database(cur)
    taken = {path.stem for path in folder.glob("queries/*.sql")}
    drafts: dict[str, Draft] = {}
    for candidate in candidates:
        if len(drafts) == number:
            break
        name = _name(candidate, taken | set(drafts))
        try:
            drafted = draft(connection, _wanted(candidate, name))
            reason = next((each.message for each in drafted.problems if each.fix is None), "")
        except LocalError as error:
            reason = str(error)
        if reason:
            say(f"not written: {shortened(candidate.statement.sql, 80)}\n    {reason}")
            continue
        drafts[name] = drafted
        say(f"{short_path(folder / drafted.path)}\n    ttl {candidate.ttl.ttl}: {why(candidate)}")
        if _CONSTANT in drafted.text:
            say("    values of some parameters were not recorded: if they are constants, write them into the SQL")
    if not drafts:
        say("nothing is written")
        return False
    paths = [each.path for each in drafts.values()]
    for each in drafts.values():
        (folder / each.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / each.path).write_text(each.text, encoding="utf-8")
        say(f"\n{short_path(folder / each.path)}\n\n{each.text}")
    fixes = find_fixes(connection, folder, only=paths)
    fixes.write(folder)
    say(fixes.diff)
    after = find_fixes(connection, folder, only=paths)
    for finding in after.left:
        say(f"{short_path(folder / finding.path)}:{finding.line}: {finding.message}")
    if after.waiting:
        say(f"{short_path(folder / after.waiting)} is to be applied: `cacheaside migrate` does it")
    if not after.left:
        say("the check finds no problem" + (" after that" if after.waiting else ""))
    return not after.left


def _wanted(candidate: Candidate, name: str) -> Wanted:
    return Wanted(
        name,
        candidate.statement.sql,
        ttl=candidate.ttl.ttl,
        stale=candidate.ttl.stale,
        values=candidate.statement.examples,
        constants=_CONSTANT,
        verify=not candidate.uses_clock,
    )


def _name(candidate: Candidate, taken: set[str]) -> str:
    """Return a name such as invoice_line_by_customer_id."""
    first = snake_case(candidate.tables[0].name) or "query"
    columns = [snake_case(name) for name in candidate.compared]
    wanted = first + ("_by_" + "_and_".join(filter(None, columns)) if any(columns) else "")
    wanted = wanted[: _LONGEST_NAME - 3]
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name
