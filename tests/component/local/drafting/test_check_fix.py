"""`cacheaside check --fix` writes what the check advises, and no more."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg2
import pytest

from tests.component.support.command_line import CommandLine

WATCH = "select cacheaside.watch('parcels');\n"


def write(cacheaside: CommandLine, name: str, tags: str, sql: str) -> None:
    header = f'-- summary = "A query"\n-- ttl = "60s"\n-- tags = {tags}\n-- params.id = {{ type = "integer" }}\n'
    (cacheaside.catalogue / f"queries/{name}.sql").write_text(header + sql + "\n")


@pytest.fixture
def wrong(cacheaside: CommandLine) -> CommandLine:
    write(cacheaside, "lines", '[\n--   "parcels",\n-- ]', "select line from parcel_lines where parcel_id = %(id)s")
    write(cacheaside, "parcel", "[]", "select weight from parcels where id = %(id)s")
    write(cacheaside, "shelf", "[]", "select name from depot.shelves where id = %(id)s")
    return cacheaside


def test_tags_watches_and_grants_are_written(wrong: CommandLine) -> None:
    status, out, _ = wrong("check", "--fix", "--yes")
    assert '-- ttl = "60s"\n-- tags = ["parcel_lines"]\n-- params' in wrong.query("lines")
    assert '-- tags = ["depot.shelves"]\n' in wrong.query("shelf")
    [migration] = wrong.migrations()
    assert sorted(migration.splitlines()) == [
        "grant select on depot.shelves to cacheaside_query;",
        "grant usage on schema depot to cacheaside_query;",
        "select cacheaside.watch('depot.shelves');",
        "select cacheaside.watch('parcel_lines');",
        "select cacheaside.watch('parcels');",
    ]
    assert (wrong.catalogue / "migrations/0001_watch_and_grant.sql").exists()
    assert '+-- tags = ["parcel_lines"]' in out  # the diff
    assert (status, "cacheaside migrate" in out) == (0, True)


def test_migration_makes_the_check_content(wrong: CommandLine) -> None:
    wrong("check", "--fix", "--yes")
    with closing(psycopg2.connect(wrong.url)) as connection, connection.cursor() as cursor:
        cursor.execute(wrong.migrations()[0])
        connection.commit()
        try:
            assert wrong("check")[0] == 0
            assert wrong("check", "--fix") == (0, "no problem is left\n", "")  # nothing to ask about
        finally:
            for table in ("parcels", "parcel_lines", "depot.shelves"):
                cursor.execute("select cacheaside.unwatch(%s)", [table])
            cursor.execute("revoke all on depot.shelves from cacheaside_query")
            cursor.execute("revoke usage on schema depot from cacheaside_query")
            connection.commit()


def test_second_fix_does_not_write_the_same_migration_again(wrong: CommandLine) -> None:
    wrong("check", "--fix", "--yes")
    status, out, _ = wrong("check", "--fix", "--yes")
    assert (status, len(wrong.migrations())) == (0, 1)
    assert "0001_watch_and_grant.sql is to be applied" in out


def test_next_migration_has_the_next_number(cacheaside: CommandLine) -> None:
    write(cacheaside, "parcel", "[]", "select weight from parcels where id = %(id)s")
    (cacheaside.catalogue / "migrations").mkdir()
    (cacheaside.catalogue / "migrations/0007_own.sql").write_text("select 1;\n")
    cacheaside("check", "--fix", "--yes")
    assert (cacheaside.catalogue / "migrations/0008_watch.sql").read_text() == WATCH


def test_nothing_is_written_before_it_is_agreed_to(wrong: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = wrong.query("lines")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    status, out, _ = wrong("check", "--fix")
    assert (status, wrong.query("lines"), wrong.migrations()) == (130, before, [])
    assert "+select cacheaside.watch('parcels');" in out


def test_what_cannot_be_fixed_stays_a_problem(cacheaside: CommandLine) -> None:
    write(cacheaside, "parcel", "[]", "select weight from parcels where id = %(id)s")
    write(cacheaside, "twice", '["parcels"]', "select id, id from parcels where id = %(id)s")
    status, out, _ = cacheaside("check", "--fix", "--yes")
    assert '-- tags = ["parcels"]' in cacheaside.query("parcel")
    assert (status, 'twice.sql:5: 2 columns of the answer are called "id"' in out) == (1, True)


def test_findings_as_json_have_the_fix(wrong: CommandLine) -> None:
    write(wrong, "twice", '["parcels"]', "select id, now(), id from parcels where id = %(id)s")
    status, out, _ = wrong("check", "--json")
    found = {(each["path"].rpartition("/")[2], each["severity"], str(each["fix"])) for each in json.loads(out)}
    assert status == 1
    assert found >= {
        ("lines.sql", "error", str({"header": '-- tags = ["parcel_lines"]', "statement": None})),
        ("parcel.sql", "error", str({"header": None, "statement": WATCH.rstrip()})),
        ("shelf.sql", "error", str({"header": None, "statement": "grant usage on schema depot to cacheaside_query;"})),
        ("twice.sql", "error", "None"),
        ("twice.sql", "warning", "None"),
    }


def test_file_that_is_no_query_is_a_finding_too(cacheaside: CommandLine) -> None:
    path = cacheaside.catalogue / "queries/bad.sql"
    path.write_text("-- summary = \nselect 1")
    status, out, _ = cacheaside("check", "--json")
    [finding] = json.loads(out)
    assert (status, finding["line"], finding["path"]) == (1, 1, str(path))
    assert "not TOML" in finding["message"]
    assert cacheaside("check", "--fix", "--yes")[0] == 1


def test_missing_tags_are_added(cacheaside: CommandLine) -> None:
    folder = cacheaside.catalogue / "queries"
    (folder / "lines.sql").write_text('-- summary = "Li\u2028nes"\n-- ttl = "60s"\nselect line from parcel_lines\n')
    (folder / "no_ttl.sql").write_text('-- summary = "Lines"\nselect line from parcel_lines\n')
    (folder / "latin.sql").write_bytes(b"-- summary = '\xe9'\nselect 1 as one\n")
    status, out, _ = cacheaside("check", "--fix", "--yes")
    header = '-- summary = "Li\u2028nes"\n-- ttl = "60s"\n-- tags = ["parcel_lines"]\n'
    assert cacheaside.query("lines") == f"{header}select line from parcel_lines\n"
    assert "tags" not in cacheaside.query("no_ttl")  # more than that is missing
    assert (status, "latin.sql:1: not UTF-8" in out) == (1, True)


def test_database_before_init_is_named(cacheaside: CommandLine) -> None:
    write(cacheaside, "parcel", "[]", "select weight from parcels where id = %(id)s")
    cacheaside.url = cacheaside.url.rpartition("/")[0] + "/postgres"
    status, _, err = cacheaside("check", "--fix", "--yes")
    assert (status, "cacheaside init" in err) == (3, True)
