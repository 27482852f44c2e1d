"""The catalogue: loading reports every mistake in a file, with file and line."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.catalogue.policy import NEW_ANSWERS, Policy, WaitedOut
from cacheaside.catalogue.statements import Command, Query
from cacheaside.errors import CatalogueError, UnknownStatement
from cacheaside.reading.question import Question
from tests.support.linear_work import is_linear

GOOD = """\
-- summary = "Orders of a customer"
-- ttl     = "60s"
-- stale   = "10m"
-- tags    = ["orders", "customers:{id}"]
-- params.id = { type = "integer", min = 1, example = 7 }
-- params.state = { type = "enum[]", values = ["open", "shut"], default = ["open"], max_length = 2 }
select * from orders -- of 100 %%
where customer_id = %(id)s and state = any(%(state)s);
"""

ASKED = '-- summary = "s"\n-- ttl = "1s"\n-- tags = []\n-- params.q = { type = "text" }\n'


def load(tmp_path: Path, text: str, name: str = "some_query") -> Query:
    folder = tmp_path / "queries"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.sql").write_text(text)
    return Catalogue.load(tmp_path).query(name)


def test_file_is_read(tmp_path: Path) -> None:
    query = load(tmp_path, GOOD)
    assert (query.name, query.returns, query.timeout_ms) == ("some_query", "many", 10_000)
    assert (query.policy.ttl_ms, query.policy.stale_ms, query.policy.client_ms) == (60_000, 600_000, 0)
    assert query.sql.startswith("select")
    assert query.sql.endswith("any(%(state)s)")
    assert query.parameters["state"].default == ["open"]
    assert query.parameters["id"].example == 7


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('"60s"', "60 seconds", 2, "the header is not TOML"),
        ('ttl     = "60s"', 'ttl     = "60"', 2, "ttl: '60' is not a duration"),
        ('ttl     = "60s"', "ttl     = 60", 2, "ttl: 60 is not a duration"),
        ('-- ttl     = "60s"\n', "", 1, "ttl is missing"),
        ('-- summary = "Orders of a customer"\n', "", 1, "summary is missing"),
        ("-- stale ", "-- stael ", 3, "stael is not a setting"),
        ("-- tags    = [", "-- tags    = [1, ", 4, "1 is not a tag"),
        ('-- tags    = ["orders", "customers:{id}"]\n', "", 1, "tags is missing"),
        ('["orders", "customers:{id}"]', '"orders"', 4, "tags is missing"),
        ("customers:{id}", "customers:{ident}", 4, "tag 'customers:{ident}' names the parameter ident"),
        ("customers:{id}", "customers:{state}", 4, "tag 'customers:{state}' needs the parameter state to be one value"),
        ('"integer"', '"int"', 5, "type must be one of text, integer"),
        ("min = 1", "least = 1", 5, "least is not an option of a parameter; it takes default, description, example,"),
        ("example = 7", "example = 0", 5, "params.id: id must be at least 1"),
        ("min = 1", "min = 1e9999999999999999999", 1, "the header is not TOML: 1e9999999999999999999 has too"),
        ("min = 1", f"min = {'9' * 5000}", 1, "the header is not TOML"),
        ("-- stale ", "-- jitter = nan\n-- stale ", 1, "the header is not TOML: nan is not a number here"),
        ('default = ["open"]', 'default = ["open", "shut", "open"]', 6, "params.state: state must have at most 2"),
        ('default = ["open"]', 'default = ["ajar"]', 6, "params.state: state must be one of open, shut"),
        ("enum[]", "text[]", 6, 'values = ["…"] goes with type enum and only with it; state is of type'),
        ("= %(id)s", "= %(ident)s", 8, "%(ident)s is not declared; add -- params.ident"),
        ("and state = any(%(state)s)", "", 6, "state is declared but the SQL does not use"),
        ("%%", "%", 7, "write %(name)s for a parameter, and %% for a percent sign"),
        ("-- stale ", '-- returns = "two"\n-- stale ', 3, 'returns must be "many" or "one"'),
        ("-- stale ", '-- waited_out = "503s"\n-- stale ', 3, 'waited_out must be "503" or "load"'),
        ("-- stale ", "-- new_answers = 0\n-- stale ", 3, "new_answers must be a whole number from 1 to 1,000,000,000"),
        ("-- stale ", "-- new_answers = 1000000001\n-- stale ", 3, "new_answers must be a whole number"),
        ("-- stale ", "-- new_answers = true\n-- stale ", 3, "new_answers must be a whole number"),
        ("-- stale ", "-- jitter = 0.6\n-- stale ", 3, "jitter must be a number from 0 to 0.5"),
        ("-- stale ", '-- verify = "no"\n-- stale ', 3, "verify must be true or false"),
        ('ttl     = "60s"', 'ttl     = "0s"', 2, "ttl must be longer than nothing"),
        ("-- stale ", '-- timeout = "0s"\n-- stale ', 3, "timeout must be more than 0 and at most 25s"),
        ("-- stale ", '-- timeout = "25001ms"\n-- stale ', 3, "timeout must be more than 0 and at most 25s"),
        ("-- stale ", '-- jitter = "some"\n-- stale ', 3, "jitter must be a number from 0 to 0.5"),
        ("-- stale ", "-- jitter = true\n-- stale ", 3, "jitter must be a number from 0 to 0.5"),
        ("-- stale ", "-- jitter = -0.1\n-- stale ", 3, "jitter must be a number from 0 to 0.5"),
        ("-- stale ", "-- early_refresh = 11\n-- stale ", 3, "early_refresh must be a number from 0 to 10"),
        ("-- stale ", "-- compress = 1\n-- stale ", 3, "compress must be true or false"),
        ('summary = "Orders of a customer"', 'summary = ""', 1, "summary is missing"),
        ('summary = "Orders of a customer"', "summary = 1", 1, "summary is missing"),
        ("max_length = 2", "max_length = -1", 6, "params.state: max_length must be a whole number, not -1"),
        ("max_length = 2", 'min_length = "1"', 6, "params.state: min_length must be a whole number, not '1'"),
        ("max_length = 2", "max_length = true", 6, "params.state: max_length must be a whole number, not True"),
        ("min = 1", "max_length = 9", 5, "params.id: max_length is for text, a list, and not for integer"),
        ("min = 1", "min_length = 9", 5, "params.id: min_length is for text, a list, and not for integer"),
        ("min = 1", "required = true, default = 1", 5, "params.id: a parameter with a default is not required"),
        ("min = 1", "min = 2, max = 1", 5, "params.id: min is greater than max: no value is within them"),
        ("max_length = 2", "min_length = 3, max_length = 2", 6, "params.state: min_length is greater than max_length"),
        ("min = 1", "values = []", 5, 'values = ["…"] goes with type enum and only with it; id is of type integer'),
        ('values = ["open", "shut"]', "values = []", 6, 'values = ["…"] goes with type enum and only with it'),
        ("min = 1", 'pattern = "1"', 5, "params.id: pattern is for text, and not for integer"),
        ("max_length = 2", 'pattern = "o.*"', 6, "params.state: pattern is for text, and not for enum"),
        ("max_length = 2", 'max = "z"', 6, "params.state: max is for integer, number, date, timestamp, and not"),
        ("max_length = 2", 'min = "a"', 6, "params.state: min is for integer, number, date, timestamp, and not"),
        ("min = 1", 'min = "a"', 5, "params.id: id must be an integer, written as JSON integer"),
        ('"integer", min', '["integer"], min', 5, "type must be one of text, integer"),
        ('values = ["open", "shut"], ', "", 6, 'values = ["…"] goes with type enum and only with it; state is of type'),
        ("-- stale ", '-- timeout = "1m"\n-- stale ', 3, "timeout must be more than 0 and at most 25s"),
        ('["open", "shut"]', "[1, 2]", 6, "params.state: values must be a list of texts"),
        ('["open", "shut"]', '"open"', 6, "params.state: values must be a list of texts"),
        ("min = 1", 'required = "no"', 5, "params.id: required must be true or false, not 'no'"),
        ("min = 1", "description = 5", 5, "params.id: description must be a text, not 5"),
        ("%(id)s", "%()s", 8, "'%()s' is no placeholder; the name of a parameter is of letters"),
        ("select *", "select 1\0", 7, "a NUL character"),
    ],
)
def test_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    place, _, message = str(caught.value).partition(": ")
    assert place.endswith(f"some_query.sql:{line}"), caught.value
    assert message.startswith(says)


@pytest.mark.parametrize(
    ("sql", "accepted"),
    [
        ("select 1 -- as in %(q)s\n", False),
        ("select 1 -- as\n, %(q)s", True),
        ("select '%(q)s'", False),
        ("select 'it''s %(q)s'", False),
        ("select 'it''s', %(q)s, ''", True),
        (r"select e'it\'s %(q)s'", False),
        (r"select 'C:\', %(q)s", True),
        ('select 1 as "a ""%(q)s"', False),
        ("/* a /* nested */ comment %(q)s */ select 1", False),
        ("/* a /* nested */ comment */ select %(q)s", True),
        ("select $$it's %(q)s$$", False),
        ("select $a$it's $$ $b$ %(q)s$a$", False),
        ("select $a$it's$a$, %(q)s", True),
        ("select a$a$, %(q)s, b$a$", True),
        ("select 'without end %(q)s", False),
        ("select E'a'\n'b\\' %(q)s', 'c'", False),  # one string, with the same escapes after the line break
        ("select E'a' -- it's\n -- so\n 'b\\' %(q)s', 'c'", False),
        (r"select a$e'\', %(q)s, ''", True),  # the name a$e, and a plain string
        (r"select €e'\', %(q)s, ''", True),  # to PostgreSQL € is a letter
        ("select $€$ ' $€$, %(q)s, ''", True),
    ],
)
def test_text_of_a_caller_cannot_end_a_comment_or_a_string(tmp_path: Path, sql: str, accepted: bool) -> None:
    """Such a placeholder is refused, because the value would be written there. The `accepted` ones are outside."""
    with nullcontext() if accepted else pytest.raises(CatalogueError, match="is in quotes or in a comment"):
        load(tmp_path, ASKED + "\n" + sql)


def test_time_to_load_a_file_grows_with_its_length_and_not_with_its_square(tmp_path: Path) -> None:
    def load_with(placeholders: int) -> Query:
        return load(tmp_path, f"{ASKED}select " + "'', %(q)s, " * placeholders + "1")

    assert is_linear(load_with, 1_000)


def load_command(tmp_path: Path, header: str = "") -> Command:
    folder = tmp_path / "commands"
    folder.mkdir(parents=True)
    (folder / "touch.sql").write_text(f'-- summary = "Touches it"\n{header}update orders set id = id returning id')
    return Catalogue.load(tmp_path).command("touch")


def test_isolation_of_a_command_is_read(tmp_path: Path) -> None:
    assert load_command(tmp_path / "silent").isolation == "read committed"
    assert load_command(tmp_path / "strict", '-- isolation = "serializable"\n').isolation == "serializable"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            '-- isolation = "snapshot"\n',
            """isolation must be "read committed", "repeatable read" or "serializable", not 'snapshot'""",
        ),
        ("-- isolation = 3\n", "isolation must be .*, not 3"),
        ('-- tags = ["orders"]\n', "tags is not a setting; it takes isolation, params, returns, summary, timeout"),
    ],
)
def test_mistake_in_a_command_is_named_with_file_and_line(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=f"touch.sql:2: {says}"):
        load_command(tmp_path, header)


def test_parameters_that_are_no_tables_are_named_with_the_notation(tmp_path: Path) -> None:
    header = '-- summary = "s"\n-- ttl = "1s"\n-- tags = []\n'
    with pytest.raises(CatalogueError, match=r"q.sql:4: write one line per parameter"):
        load(tmp_path, f"{header}-- params = 3\nselect 1", "q")
    with pytest.raises(CatalogueError, match=r"q.sql:4: params.id must be a table"):
        load(tmp_path, f'{header}-- params.id = "integer"\nselect %(id)s', "q")


def test_settings_at_their_limits_are_accepted(tmp_path: Path) -> None:
    limits = (
        'returns = "one"',
        'timeout = "25s"',
        "jitter = 0.5",
        "early_refresh = 10",
        "compress = false",
        "new_answers = 1",
        'local = "2s"',
        'client = "3s"',
    )
    query = load(tmp_path, GOOD.replace("-- stale ", "".join(f"-- {limit}\n" for limit in limits) + "-- stale "))
    assert (query.returns, query.timeout_ms) == ("one", 25_000)
    policy = query.policy
    assert (policy.jitter, policy.early_refresh, policy.compress, policy.new_answers) == (0.5, 10.0, False, 1)
    assert (policy.local_ms, policy.client_ms) == (2_000, 3_000)


def test_settings_that_are_not_given_have_their_documented_values(tmp_path: Path) -> None:
    query = load(tmp_path, '-- summary = "s"\n-- ttl = "1m"\n-- tags = []\nselect 1')
    assert query.returns == "many"
    assert query.policy == Policy(
        ttl_ms=60_000, negative_ttl_ms=5_000, wait_ms=10_000, jitter=0.05, early_refresh=1.0, compress=True
    )
    assert load(tmp_path, GOOD).policy.stale_if_error_ms == 600_000, "as long as stale"
    brief = load(tmp_path, GOOD.replace('"60s"', '"2s"'), "brief")
    assert brief.policy.negative_ttl_ms == 2_000, "never longer than ttl"


def test_options_of_a_parameter_are_read(tmp_path: Path) -> None:
    options = 'min_length = 1, max_length = 9, pattern = "[a-z]+", description = "a word", default = "b", example = "c"'
    bounds = "min = 1, max = 9, required = false"
    header = f'-- summary = "s"\n-- ttl = "1s"\n-- tags = []\n-- params.w = {{ type = "text", {options} }}\n'
    word = load(tmp_path, f"{header}select %(w)s").parameters["w"]
    assert (word.min_length, word.max_length, word.description) == (1, 9, "a word")
    assert (word.default, word.example, word.required) == ("b", "c", False)
    assert word.pattern is not None
    assert word.pattern.text == "[a-z]+"
    bounded = header.replace('"text"', '"integer"').replace(options, bounds)
    number = load(tmp_path, f"{bounded}select %(w)s").parameters["w"]
    assert (number.minimum, number.maximum, number.required, number.default) == (1, 9, False, None)
    assert (number.min_length, number.max_length, number.description) == (None, None, "")
    empty = header.replace(options, "min_length = 0, max_length = 0")
    assert load(tmp_path, f"{empty}select %(w)s").parameters["w"].from_text([""]) == ""


def test_nine_tags_are_too_many(tmp_path: Path) -> None:
    tags = [f"t{number}" for number in range(9)]
    header = '-- summary = "s"\n-- ttl = "1s"\n-- tags = '
    assert load(tmp_path, f"{header}{tags[:8]}\nselect 1").tags == tuple(tags[:8])
    with pytest.raises(CatalogueError, match=r"some_query.sql:3: 9 tags are too many; at most 8"):
        load(tmp_path, f"{header}{tags}\nselect 1")


def test_unknown_name_is_answered_with_the_route_that_lists_all(tmp_path: Path) -> None:
    with pytest.raises(UnknownStatement, match="GET /queries"):
        Catalogue.load(tmp_path).query("nothing")
    with pytest.raises(UnknownStatement, match=r"GET /openapi.json"):
        Catalogue.load(tmp_path).command("nothing")


def keys(query: Query, **given: str) -> tuple[str, tuple[str, ...]]:
    question = Question(query, bind_text(query.parameters, {name: [value] for name, value in given.items()}))
    return question.keys.entry, question.keys.tags


def test_two_spellings_of_a_question_have_one_key(tmp_path: Path) -> None:
    query = load(tmp_path, GOOD)
    assert keys(query, id="7") == keys(query, id="+7", state="open")


def test_other_values_and_other_sql_have_other_keys(tmp_path: Path) -> None:
    query = load(tmp_path, GOOD)
    edited = load(tmp_path, GOOD.replace("select *", "select id"))
    assert len({keys(query, id="7")[0], keys(query, id="8")[0], keys(edited, id="7")[0]}) == 3


def test_query_string_has_every_value_in_the_order_of_the_file(tmp_path: Path) -> None:
    query = load(tmp_path, GOOD)
    question = Question(query, bind_text(query.parameters, {"state": ["shut", "open"], "id": ["+7"]}))
    assert question.query_string == "id=7&state=shut&state=open"
    assert Question(query, bind_text(query.parameters, {"id": ["7"]})).query_string == "id=7&state=open"


def test_answers_are_verified_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).verify
    assert not load(tmp_path, GOOD.replace("-- stale ", "-- verify = false\n-- stale ")).verify


def test_entry_and_lease_share_a_slot_and_tags_name_the_row(tmp_path: Path) -> None:
    query = load(tmp_path, GOOD)
    question = Question(query, bind_text(query.parameters, {"id": ["7"]}))
    assert question.keys.entry.partition("{")[2] == question.keys.lease.partition("{")[2]
    assert question.keys.tags == ("cacheaside:tag:orders", "cacheaside:tag:customers:7", "cacheaside:tag:customers:*")


def test_tags_outlast_entries(tmp_path: Path) -> None:
    policy = load(tmp_path, GOOD).policy
    assert policy.tag_ms >= 2 * policy.lifetime_ms(policy.ttl_ms)


def test_policy_of_a_query_is_read(tmp_path: Path) -> None:
    settings = """-- stale_if_error = "1h"
-- negative_ttl = "2s"
-- jitter = 0.1
-- early_refresh = 0
-- wait = "3s"
-- waited_out = "load"
-- new_answers = 7
-- stale """
    policy = load(tmp_path, GOOD.replace("-- stale ", settings)).policy
    assert (policy.stale_if_error_ms, policy.negative_ttl_ms, policy.wait_ms) == (3_600_000, 2_000, 3_000)
    assert (policy.jitter, policy.early_refresh, policy.waited_out) == (0.1, 0.0, WaitedOut.LOAD)
    assert policy.new_answers == 7
    most = settings.replace("new_answers = 7", "new_answers = 1_000_000_000")
    assert load(tmp_path, GOOD.replace("-- stale ", most)).policy.new_answers == 1_000_000_000
    assert load(tmp_path, GOOD).policy.new_answers == NEW_ANSWERS


def test_jitter_only_shortens() -> None:
    policy = Policy(ttl_ms=1_000, jitter=0.1)
    times = [policy.fresh_ms(found=True, chance=chance) for chance in (0.0, 0.5, 0.999)]
    assert times == [1_000, 950, 901]


def test_a_wrong_file_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    load(tmp_path, GOOD, "good")
    (tmp_path / "queries/deep.sql").write_text(f"-- x = {'[' * 50_000}\nselect 1\n")
    (tmp_path / "queries/folder.sql").mkdir()
    (tmp_path / "queries/latin.sql").write_bytes(b"-- summary = 'caf\xe9'\n")
    (tmp_path / "queries/.#good.sql").symlink_to("of-an-editor")
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands/good.sql").write_text("-- summary = 1\nselect 1\n")
    catalogue = Catalogue.load(tmp_path)
    assert catalogue.query("good").summary
    assert [error.place for error in catalogue.errors] == [
        *("queries/deep.sql:1", "queries/folder.sql:1", "queries/latin.sql:1", "commands/good.sql:1"),
    ]
    for name in ("deep", "folder", "latin"):
        with pytest.raises(CatalogueError, match=f"{name}.sql:1: "):
            catalogue.query(name)
    with pytest.raises(CatalogueError, match=r"good.sql:1: summary is missing"):
        catalogue.command("good")


def test_an_error_that_is_raised_often_does_not_grow(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError):
        load(tmp_path, "no header")
    catalogue = Catalogue.load(tmp_path)
    depths = set()
    for _ in range(3):
        with pytest.raises(CatalogueError) as caught:
            catalogue.query("some_query")
        depths.add(len(caught.traceback))
    assert len(depths) == 1
