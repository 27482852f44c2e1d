"""`cacheaside new`: a file that the check accepts, from SQL of every kind."""

from __future__ import annotations

import io

import pytest

from tests.component.support.command_line import CommandLine


@pytest.mark.parametrize(
    ("condition", "parameter", "written"),
    [
        ("id = $1", 'id = { type = "integer", example = 1 }', "%(id)s"),
        ("ref = $1", 'ref = { type = "uuid", example = "0e37df36-f698-11e6-8dd4-cb9ced3df976" }', "%(ref)s"),
        ("size = $1", 'size = { type = "enum", values = ["small", "large"], example = "large" }', "%(size)s"),
        ("weight > $1", 'weight = { type = "number", example = 1.5 }', "%(weight)s"),
        ("factor = $1", 'factor = { type = "number", example = 0.5 }', "%(factor)s::real"),
        ("country = $1", 'country = { type = "text" }', "%(country)s::bpchar"),
        ("mail = $1", 'mail = { type = "text" }', "%(mail)s"),  # personal
        ("address = $1", 'address = { type = "text" }', "%(address)s::inet"),
        ("details @> $1", 'details = { type = "text" }', "%(details)s::jsonb"),
        ("details->>$1 = 'x'", 'p1 = { type = "text" }', "details->>%(p1)s"),
        ("sent = $1", 'sent = { type = "date", example = "2025-01-02" }', "%(sent)s"),
        ("sent_at < $1", 'sent_at = { type = "timestamp", example = "2025-01-02T03:04:05Z" }', "%(sent_at)s"),
        (
            "local_at < $1",
            'local_at = { type = "timestamp", example = "2025-01-02T03:04:05Z" }',
            "%(local_at)s::timestamp",
        ),
        ("open = $1", 'open = { type = "boolean", example = true }', "%(open)s"),
        ("id = any ($1)", 'id = { type = "integer[]", example = [1], max_length = 100 }', "any (%(id)s)"),
        ("size = any ($1)", 'size = { type = "enum[]", values = ["small", "large"], example = ["large"]', "%(size)s"),
        ("address = any ($1)", 'address = { type = "text[]", max_length', "%(address)s::inet[]"),
        ("sent_at > now() - $1::interval", 'p1 = { type = "text" }', "%(p1)s::interval"),
        ("date '2025-01-01' + $1 = sent", 'p1 = { type = "integer" }', "+ %(p1)s::integer"),
        (
            "($1 is null or id = $1)",
            'id = { type = "integer", required = false, example = 1 }',
            "%(id)s is null or id = %(id)s",
        ),
        (
            "($1 is null or id = $1) and ($2 is null or size = $2) and ($3 is null or weight > $3)",
            'size = { type = "enum", values = ["small", "large"], required = false, example = "large" }',
            "(%(weight)s is null or weight > %(weight)s)",
        ),
        ("$1 is null or $2 is not null or id = $3", 'p2 = { type = "text", required = false }', "%(p1)s"),
        ("codes = $1", 'codes = { type = "integer[]", example = [3, 4], max_length = 100 }', "codes = %(codes)s"),
        ("$1 = any (codes)", 'codes = { type = "integer", example = 3 }', "%(codes)s = any (codes)"),
        ("labels = $1", 'labels = { type = "text[]", max_length = 100 }', "labels = %(labels)s"),
        ("sizes = $1", 'sizes = { type = "enum[]", values = ["small", "large"], example = ["large"]', "%(sizes)s"),
        ("factors = $1", 'factors = { type = "number[]", max_length = 100 }', "%(factors)s"),  # NaN
        ("mail like $1 || '%'", 'p1 = { type = "text" }', "mail like %(p1)s || '%%'"),
    ],
)
def test_parameter_of_each_type(condition: str, parameter: str, written: str, cacheaside: CommandLine) -> None:
    # Two columns alone: the table has a primary key, whose tag is another test's.
    sql = cacheaside.sql(f"select weight, sent from parcels where {condition};")
    status, out, _ = cacheaside("new", "parcels", "--sql", sql)
    text = cacheaside.query("parcels")
    assert f"-- params.{parameter}" in text
    assert written in text
    assert (status, out.count("not recorded"), out.count("problem")) == (1, 1, 0)  # watching is all that is missing


def test_primary_key_gives_the_tag_of_a_row_and_one_answer(cacheaside: CommandLine) -> None:
    sql = cacheaside.sql("select * from parcel_lines where line = $2 and parcel_id = $1")
    cacheaside("new", "parcel_line", "--sql", sql)
    assert '-- tags    = ["parcel_lines:{parcel_id},{line}"]\n' in cacheaside.query("parcel_line")
    assert '-- returns = "one"\n' in cacheaside.query("parcel_line")


def test_table_with_control_characters_gives_a_file_that_can_be_read(cacheaside: CommandLine) -> None:
    sql = cacheaside.sql('select * from "she\x7f\x1blf" where id = $1')
    status, _, err = cacheaside("new", "shelf", "--sql", sql)
    assert (status, err) == (1, "")  # watching is all that is missing
    assert '-- tags    = ["\\"she\\U0000007f\\U0000001blf\\":{id}"]\n' in cacheaside.query("shelf")


@pytest.mark.parametrize(
    ("sql", "tags", "returns"),
    [
        ("select p.id, l.line from parcels p join parcel_lines l on l.parcel_id = p.id where p.id = $1",
         '["parcels:{id}", "parcel_lines"]', "many"),
        ("select id, generate_series(1, 2) as n from parcels where id = $1", '["parcels:{id}"]', "many"),
        ("select id from parcels where id = $1 union all select 7", '["parcels:{id}"]', "many"),
        ("select count(*) from parcels", '["parcels"]', "one"),
        ("select count(*) from parcels group by size", '["parcels"]', "many"),
    ],
)  # fmt: skip
def test_answer_of_one_row_is_told_from_one_of_many(sql: str, tags: str, returns: str, cacheaside: CommandLine) -> None:
    cacheaside("new", "answer", "--sql", cacheaside.sql(sql))
    assert f"-- tags    = {tags}\n" in cacheaside.query("answer")
    assert f'-- returns = "{returns}"\n' in cacheaside.query("answer")


def test_limit_has_a_default_and_a_maximum(cacheaside: CommandLine) -> None:
    cacheaside("new", "page", "--sql", cacheaside.sql("select id from parcels order by id limit $1 offset $2"))
    text = cacheaside.query("page")
    assert '-- params.limit = { type = "integer", default = 20, min = 0, max = 1000 }\n' in text
    assert '-- params.offset = { type = "integer", default = 0, min = 0 }\n' in text


def test_row_tag_is_found_although_the_role_lacks_rights(cacheaside: CommandLine) -> None:
    sql = cacheaside.sql("select * from depot.shelves where id = %(shelf)s")
    status, out, _ = cacheaside("new", "shelf", "--sql", sql, "--ttl", "5m")
    assert status == 1
    assert "grant usage on schema depot to cacheaside_query" in out
    assert '-- tags    = ["depot.shelves:{shelf}"]' in cacheaside.query("shelf")
    assert '-- ttl     = "5m"' in cacheaside.query("shelf")


def test_command_is_written_beside_the_queries(cacheaside: CommandLine) -> None:
    sql = cacheaside.sql("update parcels set weight = $1 where id = $2 returning id, weight")
    status, out, _ = cacheaside("new", "set_weight", "--command", "--sql", sql)
    text = (cacheaside.catalogue / "commands/set_weight.sql").read_text()
    assert "set weight = %(weight)s where id = %(id)s" in text
    assert "tags" not in text
    assert "Columns of the answer: id, weight" in out
    assert (status, "grant select, update (weight) on parcels to cacheaside_command" in out) == (1, True)


def test_comment_at_the_beginning_is_no_header(cacheaside: CommandLine) -> None:
    cacheaside("new", "commented", "--sql", cacheaside.sql("-- ours = [\nselect count(*) from parcels"))
    assert "\n\n-- ours = [\n" in cacheaside.query("commented")


def test_sql_is_read_from_the_standard_input(cacheaside: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"select count(*) from parcels")))
    cacheaside("new", "piped")
    assert "select count(*) from parcels" in cacheaside.query("piped")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("select 'é' as e".encode("latin-1"))))
    status, _, err = cacheaside("new", "latin")
    assert (status, "the SQL is not UTF-8" in err) == (3, True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    status, _, err = cacheaside("new", "typed")
    assert (status, "--sql FILE" in err) == (2, True)


def test_existing_file_is_kept_without_force(cacheaside: CommandLine) -> None:
    path = cacheaside.catalogue / "queries/parcels.sql"
    path.write_text("mine")
    sql = cacheaside.sql("select count(*) from parcels")
    status, _, err = cacheaside("new", "parcels", "--sql", sql)
    assert (status, path.read_text()) == (3, "mine")
    assert "--force" in err
    cacheaside("new", "parcels", "--sql", sql, "--force")
    assert "select count(*)" in path.read_text()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select nothing from parcels", 'PostgreSQL refuses the SQL: column "nothing" does not exist'),
        ("select 1; drop table parcels", "more than one statement"),
        ("delete from parcels where id = $1", "the SQL writes, and a query only reads: give --command"),
        ("with gone as (delete from parcels returning id) select id from gone", "give --command"),
        ("truncate parcels", "PostgreSQL refuses the SQL: syntax error"),
    ],
)
def test_sql_that_postgresql_refuses_writes_nothing(sql: str, says: str, cacheaside: CommandLine) -> None:
    status, _, err = cacheaside("new", "wrong", "--sql", cacheaside.sql(sql))
    assert (status, list(cacheaside.catalogue.glob("*/*"))) == (3, [])
    assert says in err


def test_database_before_init_is_named(cacheaside: CommandLine) -> None:
    cacheaside.url = cacheaside.url.rpartition("/")[0] + "/postgres"
    status, _, err = cacheaside("new", "one", "--sql", cacheaside.sql("select 1 as one"))
    assert (status, "cacheaside init" in err) == (3, True)


def test_array_is_an_example_of_a_command(cacheaside: CommandLine) -> None:
    sql = cacheaside.sql("insert into parcels (id, codes, labels) values ($1, $2, $3)")
    cacheaside("new", "add", "--command", "--sql", sql)
    text = (cacheaside.catalogue / "commands/add.sql").read_text()
    assert 'params.codes = { type = "integer[]", example = [3, 4]' in text
    assert 'params.labels = { type = "text[]", max_length' in text
