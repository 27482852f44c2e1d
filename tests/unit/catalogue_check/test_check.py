"""The findings about statements, given the facts of PostgreSQL. Each comes with the line to correct."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cacheaside.catalogue.statements import Command, Query
from cacheaside.catalogue.tags import table_of
from cacheaside.catalogue_check.check import check_statements
from cacheaside.catalogue_check.facts import (
    DatabaseObject,
    Facts,
    KeyColumn,
    ObjectKind,
    Scan,
    StatementFacts,
    StatementRefused,
)
from cacheaside.catalogue_check.findings import CatalogueCheck, Finding, Fix
from cacheaside.catalogue_check.tag_rules import unrecorded
from cacheaside.settings import Authorization, Callers

ID = (KeyColumn("id", "bigint"),)
LINE = (KeyColumn("order_id", "bigint"), KeyColumn("line", "integer"))


def table(tag: str, key: tuple[KeyColumn, ...] = ID, **options: Any) -> DatabaseObject:
    return DatabaseObject(tag=tag, name=tag, kind=ObjectKind.TABLE, key=key, **options)


def function(tag: str) -> DatabaseObject:
    return DatabaseObject(tag=tag, name=tag, kind=ObjectKind.FUNCTION)


SOURCES = {
    source.tag: source
    for source in (
        *(table("orders"), table("products"), table("customers"), table("order_items", LINE), table("notes", ())),
        *(function("slow_version"), DatabaseObject(tag="sales", name="sales", kind=ObjectKind.MATERIALIZED_VIEW)),
    )
}


class Database:
    """A database with these facts."""

    def __init__(self, reads: set[str], calls: set[str], **facts: Any) -> None:
        self.reads, self.calls, self.other_facts = reads, calls, facts
        self.sources = SOURCES

    def facts(self, query: Query) -> Facts:
        declared = {table_of(tag) for tag in query.tags}
        return Facts(
            read={name: self.sources.get(name, table(name)) for name in self.reads},
            opaque={name: function(name) for name in self.calls},
            declared={name: self.sources.get(name, table(name)) for name in declared - {"ordres"}},
            **self.other_facts,
        )

    def command_facts(self, command: Command) -> StatementFacts:
        assert command.name == "c"
        return StatementFacts(**self.other_facts)


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    (tmp_path / "queries").mkdir(parents=True)
    return tmp_path


def write(functions: Path, tags: str, name: str = "q") -> Path:
    path = functions / "queries" / f"{name}.sql"
    path.write_text(
        f"""\
-- summary = "x"
-- ttl     = "60s"
-- tags    = {tags}
-- params.id   = {{ type = "integer" }}
-- params.line = {{ type = "integer" }}
-- params.sku  = {{ type = "text" }}

select %(id)s,
       %(line)s, %(sku)s
"""
    )
    return path


def problems(functions: Path, tags: str, reads: set[str], calls: set[str] = frozenset(), **facts: Any) -> list[str]:  # type: ignore[assignment]
    path = write(functions, tags)
    found = check_statements(functions, Database(reads, calls, **facts)).problems
    assert all((problem.path, problem.line) == (path, 3) for problem in found)
    assert [problem.fix for problem in found] == [Fix(header=each.message.partition("; write ")[2]) for each in found]
    return [problem.message for problem in found]


@pytest.mark.parametrize(
    ("tags", "reads", "calls"),
    [
        ('["orders", "products"]', {"orders", "products"}, set()),
        ("[]", set(), set()),
        ('["sales"]', {"sales"}, set()),
        ('["slow_version"]', set(), {"slow_version"}),
        ('["slow_version", "orders", "products:{id}"]', set(), {"slow_version"}),
        ('["products", "products:{sku}"]', {"products"}, set()),
    ],
)
def test_right_tags_have_no_problem(functions: Path, tags: str, reads: set[str], calls: set[str]) -> None:
    assert problems(functions, tags, reads, calls) == []


@pytest.mark.parametrize(
    ("tags", "reads", "calls", "says", "line"),
    [
        ('["orders"]', {"orders", "customers"}, set(), "reads customers, which is not among", "orders customers"),
        ("[]", {"orders"}, set(), "reads orders, which is not among its tags", "orders"),
        ('["orders", "ordres"]', {"orders"}, set(), '"ordres" names no table, materialized view or function', "orders"),
        ('["ordres:{id}"]', set(), set(), '"ordres:{id}" names no table', ""),
        ('["orders", "products"]', {"orders"}, set(), "does not read products", "orders"),
        ('["orders", "products:{id}"]', {"orders"}, set(), "does not read products", "orders"),
        ('["slow_version"]', set(), set(), "does not read slow_version", ""),
        ("[]", set(), {"slow_version"}, "calls slow_version, which hides what it reads", "slow_version"),
        ('["orders"]', set(), {"slow_version"}, "calls slow_version", "orders slow_version"),
        ('["ordres"]', set(), {"slow_version"}, '"ordres" names no table', "slow_version"),
        ('["slow_version:{id}"]', set(), {"slow_version"}, "slow_version has no primary key", "slow_version"),
        ('["slow_version", "products:{sku}"]', set(), {"slow_version"}, "not (sku text)", "slow_version products"),
        ('["notes:{id}"]', {"notes"}, set(), "notes has no primary key that could name a row", "notes"),
        ('["sales:{id}"]', {"sales"}, set(), "sales has no primary key", "sales"),
        ('["products:{sku}"]', {"products"}, set(), "of products is (id bigint), not (sku text)", "products"),
        ('["products:{id},{line}"]', {"products"}, set(), "is (id bigint), not (id integer, line integer)", "products"),
        ('["order_items:{id}"]', {"order_items"}, set(), "is (order_id bigint, line integer), not (id", "order_items"),
    ],
)
def test_wrong_tags_are_reported_with_the_corrected_line(
    functions: Path, tags: str, reads: set[str], calls: set[str], says: str, line: str
) -> None:
    found = problems(functions, tags, reads, calls)
    right = ", ".join(f'"{tag}"' for tag in line.split())
    assert any(says in message for message in found)
    assert all(message.endswith(f"; write -- tags    = [{right}]") for message in found)


@pytest.mark.parametrize(
    ("tags", "scans"),
    [
        ('["products:{id}"]', [Scan("products", frozenset({("id", "id")}))]),
        ('["products:{id}"]', [Scan("products", frozenset({("id", "id"), ("sku", "sku")}))] * 2),
        ('["products:{id}"]', []),
        ('["products:{id}", "products:{line}"]', [Scan("products", frozenset({("id", by)})) for by in ("id", "line")]),
    ],
)
def test_row_tag_is_enough_if_no_other_row_is_read(functions: Path, tags: str, scans: list[Scan]) -> None:
    assert problems(functions, tags, {"products"}, scans=scans) == []


def test_row_tag_has_the_columns_of_the_key_in_its_order(functions: Path) -> None:
    scans = [Scan("order_items", frozenset({("order_id", "id"), ("line", "line")}))]
    assert problems(functions, '["order_items:{id},{line}"]', {"order_items"}, scans=scans) == []
    assert problems(functions, '["order_items:{line},{id}"]', {"order_items"}, scans=scans) != []


@pytest.mark.parametrize(
    "scans",
    [
        [Scan("products", frozenset())],
        [Scan("products", frozenset({("id", "line")}))],
        [Scan("products", frozenset({("line", "id")}))],
        [Scan("products", frozenset({("id", "id")})), Scan("products", frozenset())],
    ],
)
def test_row_tag_is_not_enough_if_other_rows_are_read(functions: Path, scans: list[Scan]) -> None:
    [message] = problems(functions, '["products:{id}"]', {"products"}, scans=scans)
    assert '"products:{id}" is not enough: the query reads, or may read, other rows of products' in message
    assert message.endswith('; write -- tags    = ["products"]')


def test_row_tag_is_not_enough_if_a_function_or_policy_reads_the_table(functions: Path) -> None:
    [message] = problems(functions, '["products:{id}"]', {"products"}, out_of_plan=frozenset({"products"}))
    assert "read by a function or a policy" in message


def test_two_wrong_tags_of_a_table_suggest_its_tag_once(functions: Path) -> None:
    found = problems(functions, '["products:{sku}", "products:{line},{id}"]', {"products"})
    assert [message.partition("; write ")[2] for message in found] == ['-- tags    = ["products"]'] * 2


def test_unwatched_table_is_reported_once_with_the_statement(functions: Path) -> None:
    database = Database({"orders"}, set())
    database.sources = {"orders": table("orders", recorded=False)}
    first, _ = write(functions, '["orders"]', "a"), write(functions, '["orders"]', "b")
    checked = check_statements(functions, database)
    statement = "changes of orders are not recorded; put into a migration: select cacheaside.watch('orders');"
    assert checked.problems == (Finding(first, 3, statement),)
    assert str(checked) == f"{first}:3: {statement}"


def test_table_that_only_a_function_reads_must_be_watched(functions: Path) -> None:
    database = Database(set(), {"slow_version"})
    database.sources = {**SOURCES, "orders": table("orders", recorded=False)}
    write(functions, '["slow_version", "orders"]')
    assert "cacheaside.watch('orders')" in str(check_statements(functions, database))


def test_unrecorded_source_is_reported_with_the_remedy() -> None:
    refused = table("far", recorded=False, refusal="cannot watch far: it is far away. Come nearer")
    quoted = DatabaseObject(tag="o'clock", name='"o\'clock"', kind=ObjectKind.TABLE, recorded=False)
    materialized = DatabaseObject(tag="sales", name="sales", kind=ObjectKind.MATERIALIZED_VIEW, recorded=False)
    assert unrecorded(SOURCES["orders"]) is None
    reason = "changes of far are not recorded: cannot watch far: it is far away. Come nearer"
    assert unrecorded(refused) == (reason, None)
    watch = "select cacheaside.watch('\"o''clock\"');"
    assert unrecorded(quoted) == (
        f"changes of o'clock are not recorded; put into a migration: {watch}",
        Fix(statement=watch),
    )
    message, fix = unrecorded(materialized) or ("", None)
    assert message.endswith("alter event trigger cacheaside_follow_schema enable always;")
    assert fix is None


@pytest.mark.parametrize(
    ("name", "toml"),
    [
        ('"InvoiceLine"', """'"InvoiceLine"'"""),
        ('"Sales"."Order Lines"', """'"Sales"."Order Lines"'"""),
        ('"o\'clock"', r'''"\"o'clock\""'''),
        ('"a\\b"', """'"a\\b"'"""),
        ('"a\\\'b"', r'''"\"a\\'b\""'''),
        ('"two\nlines"', r'''"\"two\U0000000alines\""'''),
        ('"two\u2028lines"', r'''"\"two\U00002028lines\""'''),
        ('"\U0001f600é"', """'"\U0001f600é"'"""),
    ],
)
def test_line_to_write_is_the_header_that_means_the_name(functions: Path, name: str, toml: str) -> None:
    [message] = problems(functions, "[]", {name})
    line = f"-- tags    = [{toml}]"
    assert message == f"the query reads {name}, which is not among its tags; write {line}"
    assert line.splitlines() == [line]
    assert tomllib.loads(line.removeprefix("--")) == {"tags": [name]}
    assert problems(functions, f"[{toml}]", {name}) == []


def test_line_to_write_replaces_a_setting_of_another_notation(functions: Path) -> None:
    path = write(functions, "[]")
    path.write_text(path.read_text().replace("-- tags ", '-- "tags" '))
    [problem] = check_statements(functions, Database({"orders"}, set())).problems
    assert problem.message.endswith('; write -- tags = ["orders"]')


@pytest.mark.parametrize("type_", ["number", "timestamp"])
def test_row_cannot_be_named_by_a_value_that_has_several_texts(functions: Path, type_: str) -> None:
    path = write(functions, '["products:{line}"]')
    path.write_text(path.read_text().replace('params.line = { type = "integer"', f'params.line = {{ type = "{type_}"'))
    [problem] = check_statements(functions, Database({"products"}, set())).problems
    assert f"the primary key of products is (id bigint), not (line {type_})" in problem.message


def test_row_of_a_table_with_a_quoted_name(functions: Path) -> None:
    scans = [Scan('"a:b"', frozenset({("id", "id")}))]
    assert problems(functions, """['"a:b":{id}']""", {'"a:b"'}, scans=scans) == []
    [message] = problems(functions, """['"a:b":{sku}']""", {'"a:b"'}, scans=scans)
    assert message.startswith('"a:b":{sku} is not enough: the primary key of "a:b" is (id bigint)')
    assert message.endswith("""; write -- tags    = ['"a:b"']""")


@pytest.mark.parametrize(
    ("written", "printed", "line"),
    [
        ("user:{id}", '"user"', """['"user":{id}']"""),
        ("InvoiceLine:{id}", '"InvoiceLine"', """['"InvoiceLine":{id}']"""),
        ("public.orders", "orders", '["orders"]'),
    ],
)
def test_other_spelling_than_that_of_postgresql_is_reported_with_the_line(
    functions: Path, written: str, printed: str, line: str
) -> None:
    database = Database({printed}, set(), scans=[Scan(printed, frozenset({("id", "id")}))])
    database.sources = {printed: table(printed), table_of(written): table(printed)}
    path = write(functions, f'["{written}"]')
    right = written.replace(table_of(written), printed)
    assert str(check_statements(functions, database)) == (
        f"{path}:3: the tag {written} is not as PostgreSQL prints it, {right}; write -- tags    = {line}"
    )


@pytest.mark.parametrize(("line", "at"), [(1, 8), (2, 9), (0, 8), (99, 9)])
def test_query_that_postgresql_refuses_is_a_problem_of_its_line(functions: Path, line: int, at: int) -> None:
    class Refuses(Database):
        def facts(self, query: Query) -> Facts:
            raise StatementRefused("relation does not exist", line)

    path = write(functions, "[]")
    assert check_statements(functions, Refuses(set(), set())).problems == (
        Finding(path, at, "relation does not exist"),
    )


@pytest.mark.parametrize(
    ("grant", "fix"), [("", None), ("grant usage on schema s to r;", "grant usage on schema s to r;")]
)
def test_refusal_that_a_right_would_end_comes_with_the_statement(functions: Path, grant: str, fix: str | None) -> None:
    class Refuses(Database):
        def facts(self, query: Query) -> Facts:
            raise StatementRefused("permission denied", grant=grant) if grant else StatementRefused("no such table")

    write(functions, "[]")
    [problem] = check_statements(functions, Refuses(set(), set())).problems
    assert (problem.line, problem.fix) == (8, Fix(statement=fix) if fix else None)


def test_refusal_says_its_reason_where_it_is_not_caught() -> None:
    assert str(StatementRefused("relation does not exist", 3)) == "relation does not exist"


def test_file_that_is_wrong_is_a_problem_beside_those_of_the_others(functions: Path) -> None:
    wrong, other = write(functions, "[]]", "a"), write(functions, '["orders"]', "b")
    checked = check_statements(functions, Database(set(), set()))
    assert [(problem.path, problem.line) for problem in checked.problems] == [(wrong, 3), (other, 3)]
    assert checked.problems[0].message.startswith("the header is not TOML")


def write_command(functions: Path) -> Path:
    path = functions / "commands" / "c.sql"
    path.parent.mkdir()
    path.write_text('-- summary = "x"\n\nselect 1\n')
    return path


def test_columns_and_rights_of_queries_and_commands_are_checked(functions: Path) -> None:
    query, command = write(functions, "[]"), write_command(functions)
    facts = {"columns": ("id", "name", "id"), "grants": ("grant select on orders to r",)}
    found = check_statements(functions, Database(set(), set(), **facts)).problems
    messages = [
        '2 columns of the answer are called "id": give each its own name, as in id as order_id',
        "its role lacks a right; put into a migration: grant select on orders to r;",
    ]
    assert found == tuple(
        Finding(path, line, message) for path, line in ((command, 3), (query, 8)) for message in messages
    )


def test_command_that_postgresql_refuses_is_a_problem_of_its_line(functions: Path) -> None:
    class Refuses(Database):
        def command_facts(self, command: Command) -> StatementFacts:
            raise StatementRefused("relation does not exist", 1)

    path = write_command(functions)
    assert check_statements(functions, Refuses(set(), set())).problems == (Finding(path, 3, "relation does not exist"),)


def test_warnings_are_printed_and_are_no_problems(functions: Path) -> None:
    path = write(functions, "[]")
    checked = check_statements(functions, Database(set(), set(), unsteady=("now()",), outlasts_answers=True))
    assert checked.problems == ()
    unsteady, outlasts, summary = str(checked).splitlines()
    assert unsteady.startswith(f"{path}:1: warning: the answer may change without a write: it depends on now(); write")
    assert outlasts.startswith(f"{path}:2: warning: the query takes longer than its answer may be used")
    assert summary == "1 query reads 0 tables; every tag is right, every table is watched"


def test_warning_about_an_answer_that_changes_without_a_write_names_the_line_that_decides_it(functions: Path) -> None:
    path = write(functions, "[]")
    path.write_text(path.read_text().replace("-- tags ", "-- verify  = true\n-- tags "))
    [warning] = check_statements(functions, Database(set(), set(), unsteady=("now()",))).warnings
    assert warning.line == 3


def test_role_that_cannot_be_taken_is_a_warning_once(functions: Path) -> None:
    first, _ = write(functions, "[]", "a"), write(functions, "[]", "b")
    checked = check_statements(functions, Database(set(), set(), not_as_role="permission denied"))
    says = "checked as the role of this session, which cannot act as the function's: permission denied"
    assert checked.warnings == (Finding(first, 8, says),)


def test_row_tag_is_not_enough_if_the_plan_leaves_out_a_scan(functions: Path) -> None:
    scans = [Scan("products", frozenset({("id", "id")}))]
    [message] = problems(functions, '["products:{id}"]', {"products"}, scans=scans, unscanned=frozenset({"products"}))
    assert '"products:{id}" is not enough: PostgreSQL\'s plan leaves out a scan of products' in message


def test_result_without_problems_is_one_line(functions: Path) -> None:
    assert str(CatalogueCheck(0, 0)) == "The catalogue has no queries"
    assert str(CatalogueCheck(0, 0, (Finding(functions / "q.sql", 1, "wrong"),))) == f"{functions}/q.sql:1: wrong"
    assert str(CatalogueCheck(5, 4)) == "5 queries read 4 tables; every tag is right, every table is watched"
    assert str(CatalogueCheck(1, 1)).startswith("1 query reads 1 table;")
    for name in ("a", "b"):
        write(functions, '["orders"]', name)
    assert str(check_statements(functions, Database({"orders"}, set()))).startswith("2 queries read 1 table;")


@pytest.mark.parametrize(
    ("callers", "refused"),
    [
        (Callers(), []),
        (Callers(Authorization.JWT, Authorization.JWT), []),
        (Callers(Authorization.OPEN, Authorization.JWT), ["ReadAuthorization=open"]),
        (Callers(Authorization.JWT, Authorization.IAM), ["WriteAuthorization=iam"]),
        (Callers(Authorization.IAM, Authorization.IAM), ["WriteAuthorization=iam", "ReadAuthorization=iam"]),
    ],
)
def test_a_claim_is_refused_where_callers_send_no_tokens(functions: Path, callers: Callers, refused: list[str]) -> None:
    claim = '-- params.user = { type = "text", source = "claim:sub" }\n'
    claim += '-- params.id = { type = "integer" }\nselect %(user)s, %(id)s'
    write(functions, "[]").write_text(f'-- summary = "x"\n-- ttl = "60s"\n-- tags = []\n{claim}')
    (functions / "commands").mkdir()
    (functions / "commands" / "c.sql").write_text(f'-- summary = "x"\n{claim}')
    found = check_statements(functions, Database(set(), set()), callers).problems
    assert [problem.message.split("with ")[1].split(" ")[0] for problem in found] == refused
    assert all(problem.line == {"queries": 4, "commands": 2}[problem.path.parent.name] for problem in found)
