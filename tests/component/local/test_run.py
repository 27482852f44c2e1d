"""`python -m local run` in a checkout of its own: what runs, what it prints, and what remains afterwards."""

import json
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from local.servers.postgres import PostgresServer
from local.servers.processes import HOST, alive, descendants
from local.servers.valkey import ValkeyServer
from tests.component.support.checkout import Checkout, read_until
from tests.support.ports import unclaimed_port
from tests.support.wait_until import wait_until


def test_while_it_runs_the_endpoints_file_has_all_addresses(checkout: Checkout) -> None:
    with checkout.running():
        endpoints = checkout.endpoints
        assert endpoints.keys() == {"API_URL", "DATABASE_URL", "CACHE_URL"}
        assert endpoints["API_URL"] == f"http://127.0.0.1:{checkout.port}"
        assert (checkout.folder / ".local/endpoints.env").stat().st_mode & 0o777 == 0o600
        with closing(psycopg2.connect(endpoints["DATABASE_URL"])) as connection, connection.cursor() as cursor:
            cursor.execute("select current_user, (select count(*) from products)")
            assert cursor.fetchone() == ("postgres", 20)
        with redis.from_url(endpoints["CACHE_URL"]) as cache:
            assert cache.ping()
    assert not (checkout.folder / ".local/endpoints.env").exists()


def test_each_function_signs_in_as_its_own_role(checkout: Checkout) -> None:
    with checkout.running():
        query = json.loads(checkout.get("/environ"))
        command = json.loads(checkout.get("/commands/any", "POST"))["event"]
        assert query["DATABASE_USER"] == "cacheaside_query"
        assert query["CACHE_URL"] == checkout.endpoints["CACHE_URL"]
        assert query["AUTHENTICATION"] == "url"
        assert command["routeKey"] == "POST /commands/{name}"
        with closing(psycopg2.connect(query["DATABASE_URL"])) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from products")
            assert cursor.fetchone() == (20,)
        log = checkout.folder / ".local/log"
        assert {path.name for path in log.iterdir()} == {
            *("QueryFunction.log", "CommandFunction.log", "postgres.log", "valkey.log")
        }


def test_it_prints_its_address_and_that_there_are_no_queries(checkout: Checkout) -> None:
    process = checkout.start("run")
    said = read_until(process, "Logs of")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120)[1].count("Sample data") >= 2
    assert process.returncode == 0
    assert f"http://127.0.0.1:{checkout.port}   (Ctrl-C stops)" in said
    assert said.count("The catalogue has no queries yet") == 1
    assert ".local/log" in said


def test_recorded_changes_are_invalidated_before_the_first_request(checkout: Checkout) -> None:
    """The template of `checkout` has no schedule, so nothing else drains the changes of the sample data."""
    with checkout.running():
        with closing(psycopg2.connect(checkout.endpoints["DATABASE_URL"])) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*), count(*) filter (where drained_at is null) from cacheaside.outbox")
            recorded, pending = cursor.fetchone() or (0, 0)
        assert recorded > 0
        assert pending == 0


def test_a_second_start_has_nothing_left_to_load(checkout: Checkout) -> None:
    with checkout.running():
        pass
    process = checkout.start("run")
    said = read_until(process, "Logs of")
    process.terminate()
    out, err = process.communicate(timeout=120)
    assert "Migrations" not in said + out
    assert err.strip() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order_leaving_no_process(checkout: Checkout, number: signal.Signals) -> None:
    with checkout.running() as process:
        family = descendants(process.pid)
        assert len(family) >= 6, "two servers, their watchdogs, a sandbox for each of two functions"
        log = checkout.folder / ".local/log/QueryFunction.log"
        known = log.read_text()
        busy = threading.Thread(target=checkout.get, args=["/sleep/60"])
        busy.start()
        wait_until(lambda: log.read_text() != known)
        started = time.monotonic()
        process.send_signal(number)
        process.send_signal(signal.SIGINT)  # a second Ctrl-C must not interrupt the cleanup
        _, err = process.communicate(timeout=120)
        assert time.monotonic() - started < 20
        assert process.returncode == 0
        assert "Error" not in err
        assert not [pid for pid in family if alive(pid)], "all gone before it ends"
        assert "database system is shut down" in (checkout.folder / ".local/log/postgres.log").read_text()
        busy.join()
    assert not (checkout.folder / ".local/endpoints.env").exists()


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.3, 0.5, 0.8])
def test_a_signal_in_the_middle_of_starting_leaves_no_process(
    checkout: Checkout, delay: float, wait_for_end: Callable[[list[int]], None]
) -> None:
    process = checkout.start("run")
    family: set[int] = set()
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline:
        family |= set(descendants(process.pid))
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert not family or "Traceback" not in err, err  # without children Python was still importing
    wait_for_end([*family])
    with checkout.running():
        assert checkout.get("/")


def test_after_kill_9_nothing_remains_and_the_next_start_works(
    checkout: Checkout, wait_for_end: Callable[[list[int]], None]
) -> None:
    with checkout.running() as process:
        family = descendants(process.pid)
        process.kill()
        process.wait()
        (checkout.folder / ".local/endpoints.env").unlink()
        with checkout.running():
            assert checkout.get("/")
        wait_for_end(family)


def test_a_second_copy_names_the_first(checkout: Checkout) -> None:
    with checkout.running() as process:
        status, _, err = checkout.finish("run", PORT=str(unclaimed_port()))
        assert (status, err) == (
            3,
            f"cacheaside run: already running in this checkout, as process {process.pid}: stop that one first\n",
        )
        assert checkout.get("/"), "and the first still serves"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "http"}, "PORT is 'http': give a number from 1 to 65535"),
        ({"PORT": "70000"}, "PORT is '70000': give a number from 1 to 65535"),
        ({"SAMPLE_SIZE": "many"}, "SAMPLE_SIZE is 'many': give a whole number, 0 for no rows"),
        (
            {"SAMPLE_SIZE": "9" * 12},
            r"[\d,]+ MB are free for .*/\.local, .* or choose fewer with SAMPLE_SIZE=…",
        ),
        ({"DATABASE_URL": "mysql://127.0.0.1/x"}, "the URL of the database is not like postgresql://.*"),
        (
            {"DATABASE_URL": "postgresql://127.0.0.1:9/x"},
            "there is no connection to the database: .* refused .*",
        ),
        ({"CACHE_URL": "redis://127.0.0.1:9"}, r"CACHE_URL: .* connecting to 127\.0\.0\.1:9\. Connection refused\."),
        ({"CACHE_URL": "redis://:s/ecret@127.0.0.1:9"}, "CACHE_URL is not like redis://.*# is %23.*"),
        ({"CACHE_URL": "redis://127.0.0.1:9?bogus=1"}, "CACHE_URL is not like redis://.*"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_to_change(
    checkout: Checkout, environment: dict[str, str], message: str
) -> None:
    if "DATABASE_URL" in environment:
        shutil.rmtree(checkout.folder / "functions/catalogue/sample")
    status, out, err = checkout.finish("run", **environment)
    assert (status, out) == (3, "")
    assert re.fullmatch(f"cacheaside run: {message}\n", err), err


def test_a_port_in_use_is_reported_before_the_database_is_made(checkout: Checkout) -> None:
    with socket.create_server((HOST, checkout.port)):
        status, _, err = checkout.finish("run")
    assert (status, err) == (3, f"cacheaside run: port {checkout.port} is in use: choose another with PORT=…\n")
    assert not (checkout.folder / ".local").exists()


def test_a_missing_template_is_reported(checkout: Checkout) -> None:
    (checkout.folder / "template.yaml").unlink()
    status, _, err = checkout.finish("run")
    assert status == 3
    assert re.fullmatch(r"cacheaside run: there is no .*/template\.yaml: run in the folder of the checkout\n", err)


def test_a_failing_migration_is_reported_with_file_and_line(checkout: Checkout) -> None:
    migrations = checkout.folder / "functions/catalogue/migrations"
    for file in migrations.glob("*.sql"):
        file.unlink()
    (migrations / "0001_broken.sql").write_text("select 1;\nselect no_such_column;\n")
    status, _, err = checkout.finish("run")
    assert status == 3
    assert err.startswith("cacheaside run: migration catalogue/migrations/0001_broken.sql:2: ")
    assert err.count("\n") == 1


@pytest.fixture
def without_sample(checkout: Checkout) -> Checkout:
    """Its catalogue may be applied to a given database."""
    shutil.rmtree(checkout.folder / "functions/catalogue/sample")
    return checkout


def test_given_servers_are_used(without_sample: Checkout, folder: Path) -> None:
    checkout = without_sample
    with PostgresServer(folder / "theirs", durable=False) as database, ValkeyServer(folder / "cache") as cache:
        with checkout.running(DATABASE_URL=database.url, CACHE_URL=cache.url) as process:
            assert checkout.endpoints["DATABASE_URL"] == database.url
            environ = json.loads(checkout.get("/environ"))
            assert environ["DATABASE_URL"].startswith(f"{database.url}?options=-c%20role%3Dcacheaside_query%20")
            assert environ["CACHE_URL"] == cache.url
            assert len(descendants(process.pid)) == 2, "a sandbox for each function, no server"
            assert not (checkout.folder / ".local/postgres").exists()
        with redis.from_url(cache.url) as client:
            assert client.ping(), "and still run afterwards"


def test_the_cache_survives_a_run_but_is_not_used_with_another_database(without_sample: Checkout, folder: Path) -> None:
    checkout = without_sample

    def keys() -> list[bytes]:
        with redis.from_url(checkout.endpoints["CACHE_URL"]) as client:
            found: list[bytes] = client.keys()
            client.set("cacheaside:entry:1", "an answer")
            return found

    with checkout.running():
        assert keys() == []
    with checkout.running():
        assert keys() == [b"cacheaside:entry:1"]
    with PostgresServer(folder / "theirs", durable=False) as database:
        for _ in range(2):
            with checkout.running(DATABASE_URL=database.url):
                assert keys() == []


def test_a_sample_is_not_applied_to_a_database_of_somebody_else(checkout: Checkout, folder: Path) -> None:
    with PostgresServer(folder / "theirs", durable=False) as database:
        status, out, err = checkout.finish("run", DATABASE_URL=database.url, SAMPLE_SIZE="0")
        assert (status, out, err.count("\n")) == (3, "", 1)
        assert err.startswith(
            "cacheaside run: functions/catalogue holds the sample, which is only for a database that "
        )
        assert err.endswith("Take the sample out: .venv/bin/cacheaside init --database-url …\n")
        with closing(psycopg2.connect(database.url)) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_namespace where nspname in ('cacheaside')")
            assert cursor.fetchone() == (0,)
            cursor.execute("select count(*) from pg_class where relnamespace = 'public'::regnamespace")
            assert cursor.fetchone() == (0,)
            cursor.execute("select count(*) from pg_roles where rolname like 'cacheaside%'")
            assert cursor.fetchone() == (0,)
    assert not (checkout.folder / ".local").exists(), "no server was started"
