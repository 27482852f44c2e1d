"""The commands for people at work, against a stack that runs."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.component.support.checkout import Checkout
from tests.support.tokens import bearer
from tests.support.wait_until import wait_until


def call(checkout: Checkout, *arguments: str, status: int = 0, **environment: str) -> str:
    """Run a command, and return what it printed."""
    ended, out, err = checkout.finish(*arguments, **environment)
    assert (ended, "Traceback" in err) == (status, False), out + err
    return out


def listed(checkout: Checkout, query: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads(call(checkout, "ls", query, "--json"))["answers"]
    return answers


def thing(checkout: Checkout, number: int) -> dict[str, Any]:
    """Return the entry of a thing as it is listed."""
    return next(each for each in listed(checkout, "thing") if each["parameters"] == {"id": str(number)})


def keep(checkout: Checkout, number: int) -> None:
    """Have the answer of a thing stored. On a busy machine a late cache is bypassed for a moment."""
    wait_until(
        lambda: re.search("; (hit|stored)", checkout.answer(f"/queries/thing?id={number}").headers["cache-status"])
    )


COMMANDS = [
    ("explain", "thing", "id=1"),
    ("ls",),
    ("inspect", "thing", "id=1"),
    ("stats",),
    ("warm", "thing"),
    ("invalidate", "things"),
    ("psql", "select 1"),
    ("valkey", "ping"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_without_a_stack_it_says_to_start_one(stopped: Checkout, arguments: tuple[str, ...]) -> None:
    status, out, err = stopped.finish(*arguments)
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert err.startswith(f"cacheaside {arguments[0]}: ")
    assert "start `cacheaside run` in another terminal first" in err


def test_after_the_stack_was_killed_it_asks_whether_it_runs(stopped: Checkout) -> None:
    endpoints = stopped.folder / ".local/endpoints.env"
    endpoints.parent.mkdir()
    lines = ("API_URL=http://127.0.0.1:9", "DATABASE_URL=postgresql://127.0.0.1:9/x", "CACHE_URL=redis://127.0.0.1:9")
    endpoints.write_text("\n".join(lines))
    try:
        for arguments in COMMANDS[:6]:
            if arguments[0] != "stats":
                status, out, err = stopped.finish(*arguments)
                assert (status, out, "Traceback" in err) == (3, "", False), err
    finally:
        shutil.rmtree(endpoints.parent)


def test_explain_shows_the_key_the_sql_and_what_invalidates(checkout: Checkout) -> None:
    keep(checkout, 1)
    said = call(checkout, "explain", "thing", "id=1")
    assert f"entry  {thing(checkout, 1)['key']}\n" in said
    assert "from things where id = ('1'::bigint)" in said
    assert "Plan, as cacheaside_query: cost " in said
    assert "things  table, primary key (id bigint), watched" in said
    assert "things:{id}  covers all rows that are read" in said
    assert "├──────── ttl 1 m ────────┼─────── stale 10 m ──────┤" in said
    assert 'POST /invalidations {"query": "thing", "params": {"id": 1}}' in said


def test_explain_says_whether_a_tag_of_a_row_would_do(checkout: Checkout) -> None:
    said = call(checkout, "explain", "thing_by_table", "number=1")
    assert "things  things:{number} would do: put it among the tags in place of things" in said
    said = call(checkout, "explain", "other_things", "id=1")
    assert "things  things:{id} would not be enough, because the query reads, or may read, other rows of things" in said
    document = json.loads(call(checkout, "explain", "things", "names=a", "names=b", "--json"))
    [tag] = document["row_tags"]
    assert tag["objection"] == "no parameter can be its primary key (id bigint)"
    assert document["request"] == "GET /queries/things?names=a&names=b&limit=5"
    assert document["problems"] == []


def test_the_answer_of_a_caller_is_shown_without_the_caller(checkout: Checkout) -> None:
    token = bearer(sub="ada of things").removeprefix("Bearer ")
    assert "bearer token" in call(checkout, "warm", "mine", status=1), "who does not say who asks gets no answer"
    wait_until(lambda: re.search("1 (hits|misses stored)", call(checkout, "warm", "mine", API_TOKEN=token)))
    [answer] = listed(checkout, "mine")
    assert answer["parameters"] == {"user": "<13 characters>"}
    for arguments in (("ls", "mine"), ("inspect", answer["key"], "--json")):
        assert "ada of things" not in call(checkout, *arguments)
    said = call(checkout, "explain", "mine", "user=ada of things")
    assert f"entry  {answer['key']}\n" in said
    assert "  GET /queries/mine\n" in said
    assert "the caller can ask it again" in checkout.finish("warm", "mine", "--last-read", "3")[2]
    told = call(checkout, "invalidate", "--query", "mine", "user=ada of things")
    assert "the answer is deleted" in told


def test_explain_reports_a_table_that_is_not_watched(checkout: Checkout) -> None:
    said = call(checkout, "explain", "notes", status=1)
    assert "put into a migration: select cacheaside.watch('notes');" in said.splitlines()[-1]


def test_explain_runs_a_query_only_with_analyze_and_within_its_timeout(checkout: Checkout) -> None:
    assert "Seq Scan on things" in call(checkout, "explain", "slow")
    said = call(checkout, "explain", "slow", "--analyze", status=1)
    assert said.endswith("The query did not end within its timeout of 200 ms\n")
    assert "actual time" in call(checkout, "explain", "thing", "id=1", "--analyze")


def test_wrong_parameters_get_the_words_of_the_api(checkout: Checkout) -> None:
    problem = json.loads(checkout.get("/queries/thing?id=0&limit=3"))
    details = [each["detail"] for each in problem["errors"]]
    assert len(details) == 2
    for command in ("explain", "inspect"):
        status, _, err = checkout.finish(command, "thing", "id=0", "limit=3")
        assert status == 2
        assert all(detail in err for detail in details)


def test_new_migration_is_applied_to_the_embedded_database(checkout: Checkout) -> None:
    number = len(list((checkout.folder / "functions/catalogue/migrations").glob("*.sql"))) + 1
    migration = checkout.folder / f"functions/catalogue/migrations/{number:04}_extra.sql"
    migration.write_text("create table extra (id integer);")
    status, out, err = checkout.finish("migrate")
    migration.unlink()
    assert (status, err) == (1, "")  # the catalogue has a query of a table that is not watched
    assert f"Migrations applied:\n  catalogue/migrations/{migration.name}\n" in out


def test_explain_asks_a_named_database_although_a_stack_runs(checkout: Checkout) -> None:
    status, _, err = checkout.finish("explain", "thing", "id=1", DATABASE_URL="postgresql://127.0.0.1:9/x")
    assert status == 3
    assert err.startswith("cacheaside explain: there is no connection to the database: ")


def test_an_invalidated_answer_is_listed_as_such(checkout: Checkout) -> None:
    keep(checkout, 2)
    fresh = thing(checkout, 2)
    assert (fresh["state"], 0 < fresh["state_left_ms"] <= 60_000) == ("fresh", True)
    assert fresh["unpacked_bytes"] == len(checkout.get("/queries/thing?id=2"))
    assert "things:2: every answer" in call(checkout, "invalidate", "things:2")
    assert (thing(checkout, 2)["state"], thing(checkout, 2)["state_left_ms"]) == ("invalidated", 0)
    keep(checkout, 2)
    assert thing(checkout, 2)["state"] == "fresh"


def test_a_write_past_the_api_is_seen_in_the_list(checkout: Checkout) -> None:
    keep(checkout, 7)
    call(checkout, "psql", "update things set price = price + 1 where id = 7")
    wait_until(lambda: thing(checkout, 7)["state"] == "invalidated")


def test_looking_at_answers_does_not_count_as_reading_them(checkout: Checkout) -> None:
    keep(checkout, 4)
    key = thing(checkout, 4)["key"]
    with redis.from_url(checkout.endpoints["CACHE_URL"]) as cache:

        def idle_s() -> int:
            idle: Any = cache.object("IDLETIME", key)
            return int(idle)

        def stays_idle() -> bool:
            """The verifier may read the entry between two steps. Then it was idle for less time than these took."""
            wait_until(lambda: idle_s() >= 4)
            began = time.monotonic()
            call(checkout, "ls")
            call(checkout, "inspect", "thing", "id=4")
            return idle_s() > time.monotonic() - began + 1  # both clocks of the server are in whole seconds

        wait_until(stays_idle)


def test_a_list_that_is_cut_off_says_so(checkout: Checkout) -> None:
    for number in (1, 2, 3):
        checkout.get(f"/queries/thing?id={number}")
    cut = json.loads(call(checkout, "ls", "thing", "--limit", "1", "--json"))
    assert (len(cut["answers"]), cut["complete"]) == (1, False)
    assert "These 1 may not be all" in checkout.finish("ls", "thing", "--limit", "1")[2]
    assert json.loads(call(checkout, "ls", "thing", "--json"))["complete"] is True


def test_a_foreign_value_under_a_key_of_ours_breaks_no_list(checkout: Checkout) -> None:
    keys = [f"cacheaside:entry:{{thing:{number}}}" for number in ("rubbish", "list")]
    with redis.from_url(checkout.endpoints["CACHE_URL"]) as cache:
        cache.set(keys[0], "rubbish")
        cache.rpush(keys[1], "a list")
        try:
            states = {each["key"]: each["state"] for each in listed(checkout, "thing")}
            assert (states[keys[0]], keys[1] in states) == ("unreadable", False)
            assert "unreadable" in call(checkout, "inspect", keys[0])
        finally:
            cache.delete(*keys)


def test_inspect_shows_the_body_as_it_is_sent(checkout: Checkout) -> None:
    sent = checkout.get("/queries/thing?id=5")
    assert call(checkout, "inspect", "thing", "id=5", "--body") == sent.decode() + "\n"
    by_key = json.loads(call(checkout, "inspect", thing(checkout, 5)["key"], "--json"))
    assert [tag["key"] for tag in by_key["tags"]] == ["cacheaside:tag:things:5", "cacheaside:tag:things:*"]
    assert not any(tag["moved"] for tag in by_key["tags"])
    assert '"price": 19.90' in call(checkout, "inspect", "thing", "id=5")


def test_a_wrong_file_is_told_and_not_taken_for_a_missing_query(checkout: Checkout) -> None:
    broken = checkout.folder / "functions/catalogue/queries/broken.sql"
    broken.write_text("-- summary = 'Broken'\n-- ttl = 5\nselect 1\n")
    try:
        asked = [
            ("ls",),
            ("inspect",),
            ("explain",),
            ("warm",),
            ("warm", "--last-read", "3"),
            ("invalidate", "--query"),
        ]
        for arguments in asked:
            status, out, err = checkout.finish(*arguments, "broken")
            assert (status, out) == (3, ""), arguments
            assert "queries/broken.sql:2: " in err
            assert "ttl: 5 is not a duration" in err
    finally:
        broken.unlink()
    status, out, err = checkout.finish("ls", "thong")
    assert (status, out) == (2, "")
    assert "there is no query thong; did you mean thing?" in err


def test_inspect_of_an_answer_that_is_not_cached_is_a_no(checkout: Checkout) -> None:
    call(checkout, "inspect", "thing", "id=4000", status=1)
    assert json.loads(call(checkout, "inspect", "thing", "id=4000", "--json", status=1)) is None


def test_invalidating_a_question_deletes_its_answer_alone(checkout: Checkout) -> None:
    name = quote("thing 2")
    for path in (f"/queries/things?names={name}", "/queries/things"):
        checkout.get(path)
    call(checkout, "invalidate", "--query", "things", "names=thing 2")
    assert [each["parameters"]["names"] for each in listed(checkout, "things")] == ["thing 1"]


def test_a_refusal_of_the_api_is_told(checkout: Checkout) -> None:
    status, _, err = checkout.finish("invalidate", *[f"things:{number}" for number in range(101)])
    assert status == 3
    assert "The body cannot be read: tags must be" in err


def test_a_table_is_invalidated_however_it_is_spelled_and_no_other_is_said_to_be(checkout: Checkout) -> None:
    for spelling in ("public.things", '"things"', '"public".things:2'):
        keep(checkout, 2)
        assert "every answer" in call(checkout, "invalidate", spelling)
        assert thing(checkout, 2)["state"] == "invalidated", spelling
    assert call(checkout, "invalidate", "nosuch") == "no cached answer has this tag: nosuch\n"
    _, _, err = checkout.finish("invalidate", "Things")
    assert "write orders, or '\"InvoiceLine\"' in the shell's quotes" in err


def test_warmed_questions_are_hits(checkout: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_text("id\n6\n8\n0\n")
    call(checkout, "invalidate", "things")
    said = json.loads(call(checkout, "warm", "thing", "--from", str(file), "--json", status=1))
    assert said == {
        "asked": 3,
        "answers": {"misses stored": 2},
        "failures": {"Parameters are missing or wrong": 1},
    }
    assert {thing(checkout, number)["state"] for number in (6, 8)} == {"fresh"}
    assert "1 hits, 0 failed" in call(checkout, "warm", "thing", "--from", str(_only(tmp_path, 6)))


def _only(folder: Path, number: int) -> Path:
    file = folder / "one.jsonl"
    file.write_text(json.dumps({"id": number}))
    return file


def test_what_was_read_last_can_be_asked_again_after_an_invalidation(checkout: Checkout) -> None:
    def is_the_last_one() -> bool:
        """The verifier may read an entry between two steps. Then that one was read last."""
        keep(checkout, 8)
        with redis.from_url(checkout.endpoints["CACHE_URL"]) as cache:
            wait_until(lambda: cache.object("IDLETIME", thing(checkout, 8)["key"]) >= 1)
        keep(checkout, 9)
        call(checkout, "invalidate", "things")
        assert "1 misses stored, 0 failed" in call(checkout, "warm", "thing", "--last-read", "1")
        return (thing(checkout, 9)["state"], thing(checkout, 8)["state"]) == ("fresh", "invalidated")

    wait_until(is_the_last_one)


def test_stats_add_up_to_the_answers_of_the_log(checkout: Checkout) -> None:
    def stats() -> dict[str, Any]:
        checkout.get("/queries/thing?id=1")  # a function writes its values with its next answer
        found = json.loads(call(checkout, "stats", "--json"))
        return next((each for each in found if each["query"] == "thing"), {"hits": 0})

    for _ in range(3):
        keep(checkout, 1)
    wait_until(lambda: stats()["hits"] >= 3)
    counted = stats()
    sources = ("hits", "misses", "stale", "collapsed", "bypassed", "stale_if_error")
    assert sum(counted[source] for source in sources) == counted["answers"]
    assert counted["cache_ms"]["p50"] <= counted["cache_ms"]["p99"]
    assert "no query was asked in the last 1ms" in call(checkout, "stats", "--since", "1ms")


def test_psql_and_valkey_are_those_of_the_stack(checkout: Checkout) -> None:
    keep(checkout, 1)
    assert call(checkout, "psql", 'select 1 as "Foo"', "--", "--csv") == "Foo\n1\n"
    assert call(checkout, "valkey", "echo", "a b") == "a b\n"
    assert call(checkout, "valkey", "echo", "--", "-b") == "-b\n"
    assert "cacheaside:tag:" in call(checkout, "valkey", "--", "--scan", "--pattern", "cacheaside:tag:*")
    call(checkout, "psql", "select no_such_column", status=1)
