"""An edited catalogue is served by the next request, while the stack runs. A wrong file breaks its own route only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import psycopg2
import pytest

from local.api.gateway import Gateway
from local.api.pool import Pool
from local.template import Function, Route, Template
from tests.component.support.checkout import Checkout, copy_project
from tests.support.wait_until import wait_until

QUERY = """\
-- summary = "A number"
-- ttl     = "60s"
-- returns = "one"
-- tags    = []
select {number} as number
"""


@pytest.fixture(scope="module")
def project(new_folder: Callable[[str], Path]) -> Iterator[Checkout]:
    checkout = copy_project(new_folder("reload"))
    with (checkout.folder / "run.log").open("w") as log, checkout.running(output=log):
        yield checkout


def query_file(project: Checkout, name: str = "number") -> Path:
    return project.folder / f"functions/catalogue/queries/{name}.sql"


def number(project: Checkout) -> object:
    return json.loads(project.get("/queries/number")).get("data", {}).get("number")


def test_new_edited_and_removed_queries_are_served_by_the_next_request(project: Checkout) -> None:
    query_file(project).write_text(QUERY.format(number=1))
    assert number(project) == 1
    query_file(project).write_text(QUERY.format(number=2))
    assert number(project) == 2
    query_file(project).unlink()
    assert json.loads(project.get("/queries/number"))["status"] == 404


def test_a_wrong_file_is_told_on_its_route_in_the_list_and_on_the_terminal(project: Checkout) -> None:
    query_file(project, "wrong").write_text("-- summary = 'Wrong'\n-- ttl = 5\nselect 1\n")
    problem = json.loads(project.get("/queries/wrong"))
    assert (problem["status"], problem["type"]) == (500, "/docs#catalogue-error")
    assert problem["detail"].startswith("queries/wrong.sql:2: ttl: 5 is not a duration")
    listed = json.loads(project.get("/queries"))
    assert listed["errors"] == [{"place": "queries/wrong.sql:2", "detail": problem["detail"].partition(": ")[2]}]
    assert "data" in json.loads(project.get("/queries/version")), "the others are served"
    terminal = project.folder / "run.log"
    wait_until(lambda: "functions/catalogue/queries/wrong.sql:2: ttl: 5 is not a duration" in terminal.read_text())
    query_file(project, "wrong").unlink()
    assert "errors" not in json.loads(project.get("/queries"))


def test_a_new_tag_is_declared_to_the_database_without_a_restart(project: Checkout) -> None:
    """Else it would not follow what stands behind the name."""
    with closing(psycopg2.connect(project.endpoints["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("create materialized view totals as select 7 as number")
        query_file(project).write_text(
            QUERY.replace("[]", '["totals"]').replace("select {number} as number", "table totals")
        )
        assert number(project) == 7

        def declared() -> bool:
            cursor.execute("select from cacheaside.names where tag = 'totals'")
            return cursor.rowcount == 1

        wait_until(declared)


def test_an_edited_query_is_described_without_a_restart(project: Checkout) -> None:
    with closing(psycopg2.connect(project.endpoints["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def type_of(place: str) -> str:
            cursor.execute("select columns->0->>1 from cacheaside.described where place = %s", [place])
            return "".join(type_ for (type_,) in cursor.fetchall())

        # The start of the stack describes the catalogue.
        wait_until(lambda: type_of("queries/product") == "bigint")
        query_file(project, "typed").write_text(QUERY.format(number="date '2025-01-31'"))
        assert "data" in json.loads(project.get("/queries/typed"))
        wait_until(lambda: type_of("queries/typed") == "date")


def test_a_busy_sandbox_answers_its_request_and_serves_no_other(function: Function, tmp_path: Path) -> None:
    pool = Pool(function, {}, tmp_path / "log")
    try:
        pool.warm()
        answers: list[dict[str, object]] = []
        go = tmp_path / "go"
        caller = threading.Thread(target=lambda: answers.append(pool.invoke({"do": f"/await{go}"})))
        caller.start()
        wait_until(lambda: any(tmp_path.glob("go.*")))
        pool.renew()
        renewed = pool.invoke({})
        go.touch()
        caller.join()
        pids = {pool.invoke({})["pid"] for _ in range(3)}
        assert answers[0]["pid"] not in pids
        assert pids == {renewed["pid"]}
    finally:
        pool.close()


def test_an_edit_while_the_stack_starts_is_not_lost(
    function: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = function.paths[0] / "catalogue" / "queries"
    queries.mkdir(parents=True)
    warm = Pool.warm

    def warm_and_edit(pool: Pool) -> None:
        warm(pool)
        (queries / "new.sql").touch()

    monkeypatch.setattr(Pool, "warm", warm_and_edit)
    template = Template({function.name: function}, (Route("GET", "/any", function.name),))
    changed = threading.Event()
    with (
        closing(Gateway(0)) as gateway,
        gateway.serving(template, {}, tmp_path / "log", print_line=print, on_change=changed.set),
    ):
        urlopen(f"{gateway.url}/any").close()  # noqa: S310  # of this machine
        assert changed.wait(60)
