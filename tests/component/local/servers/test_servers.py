"""The embedded servers: side by side, stopped, killed and frozen."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import local.servers.postgres
import local.servers.server
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST, alive, descendants
from local.servers.server import Server, StartFailed
from local.servers.valkey import ValkeyServer
from tests.support.ports import unclaimed_port
from tests.support.root import ROOT


def postgres(folder: Path, **options: Any) -> PostgresServer:
    return PostgresServer(folder / "postgres", durable=False, **options)


def valkey(folder: Path, **options: Any) -> ValkeyServer:
    return ValkeyServer(folder / "valkey", **options)


def ask(server: Server, patience: int = 30) -> object:
    """Ask something that only a working server answers."""
    if isinstance(server, ValkeyServer):
        with redis.from_url(server.url, socket_timeout=patience, retry=Retry(NoBackoff(), 0)) as client:
            return client.ping()
    return select(server, "select 1", patience=patience)


def select(server: Server, sql: str, role: str = "postgres", patience: int = 30) -> object:
    assert isinstance(server, PostgresServer)
    with closing(psycopg2.connect(server.url_for(role), connect_timeout=patience)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None


both = pytest.mark.parametrize("make", [postgres, valkey])


@both
def test_two_copies_run_side_by_side(make: Callable[[Path], Server], folder: Path) -> None:
    with make(folder / "a") as first, make(folder / "b") as second:
        assert first.port != second.port
        assert ask(first)
        assert ask(second)


@both
def test_stopping_leaves_no_process_and_frees_the_port(
    make: Callable[[Path], Server],
    folder: Path,
    newcomers: Callable[[], list[int]],
    wait_for_end: Callable[[list[int]], None],
) -> None:
    with make(folder) as server:
        family = newcomers()
        assert server.pid in family
    wait_for_end(family)
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect((HOST, server.port))


@both
def test_a_killed_server_is_gone_at_once_and_comes_back_on_its_port(
    make: Callable[[Path], Server], folder: Path
) -> None:
    with make(folder) as server:
        port, family = server.port, [server.pid, *descendants(server.pid)]
        server.kill()
        assert not any(alive(member) for member in family)
        server.restart()
        assert server.port == port
        assert ask(server)


@both
def test_a_frozen_server_accepts_but_does_not_answer_until_thawed(make: Callable[[Path], Server], folder: Path) -> None:
    with make(folder) as server:
        server.freeze()
        with pytest.raises((psycopg2.OperationalError, redis.TimeoutError), match=r"(?i)time(out|d out)"):
            ask(server, patience=2)
        server.thaw()
        assert ask(server)


@both
def test_a_frozen_server_can_be_restarted_and_stopped(make: Callable[[Path], Server], folder: Path) -> None:
    with make(folder) as server:
        server.freeze()
        server.restart()
        assert ask(server)
        server.freeze()


@both
def test_stopping_twice_or_after_a_crash_is_harmless(make: Callable[[Path], Server], folder: Path) -> None:
    with make(folder) as server:
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.1)
        server.stop()
        server.stop()
        server.kill()


@both
def test_a_port_that_another_server_has_taken_first_is_replaced(
    make: Callable[[Path], Server], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(folder / "a") as quicker:
        ports = iter([quicker.port, quicker.port, unclaimed_port()])
        monkeypatch.setattr(local.servers.server, "free_port", lambda: next(ports))
        with make(folder / "b") as server:
            assert server.port != quicker.port
            assert ask(server)


@both
def test_a_given_port_that_stays_in_use_is_named(
    make: Callable[..., Server], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.servers.server, "BUSY_LIMIT", 0.3)
    with make(folder / "a") as quicker:
        server = make(folder / "b", port=quicker.port)
        with pytest.raises(StartFailed, match=f"^another program uses port {quicker.port} of "):
            server.start()
        assert ask(quicker)


@both
def test_a_server_that_cannot_start_shows_the_end_of_its_log(make: Callable[..., Server], folder: Path) -> None:
    server = make(folder, settings={"no_such_setting": "1"})
    with pytest.raises(StartFailed, match=r"(?s)ended with status 1 .*no_such_setting"):
        server.start()


@both
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_with_the_process_that_started_it(
    make: Callable[[Path], Server],
    number: signal.Signals,
    folder: Path,
    wait_for_end: Callable[[list[int]], None],
) -> None:
    """The server is started in a thread that ends at once: PR_SET_PDEATHSIG would end the server with it."""
    module, name = make.__name__, make.__annotations__["return"].__name__
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import pathlib, threading, time
                from local.servers.{module} import {name}
                server = {name}(pathlib.Path({str(folder)!r}))
                thread = threading.Thread(target=server.start)
                thread.start()
                thread.join()
                print(server.pid, flush=True)
                time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    time.sleep(0.2)
    assert alive(pid), "the server ended with the thread that started it"
    family = [pid, *descendants(owner.pid)]
    owner.send_signal(number)
    owner.wait()
    owner.stdout.close()
    wait_for_end(family)


@both
def test_a_server_that_lost_its_owner_and_its_watchdog_is_ended_in_order_by_the_next(
    make: Callable[[Path], Server], folder: Path
) -> None:
    """An orphan of Valkey would save its old entries over those of the next one when the machine is shut down."""
    with make(folder) as orphan, make(folder) as server:
        assert not orphan.running
        assert ask(server)


@pytest.mark.parametrize("user", [0, 65534])
def test_a_lock_file_that_names_a_process_of_somebody_else_does_not_stop_the_database(folder: Path, user: int) -> None:
    """A crash leaves the file, and after a restart of the machine another process has the number."""
    with postgres(folder) as server:
        lock = server.folder / "data/postmaster.pid"
        text = lock.read_text()
    as_user = ["setpriv", "--reuid", str(user), "--clear-groups"] if os.geteuid() == 0 else []
    with subprocess.Popen([*as_user, "sleep", "600"]) as foreign:
        lock.write_text(text.replace(text.split()[0], str(foreign.pid), 1))
        os.chown(lock, *(server.folder / "data").stat()[4:6])
        with postgres(folder) as server:
            assert ask(server)
            assert foreign.poll() is None
        foreign.kill()


def test_entries_that_cannot_be_read_are_set_aside(folder: Path) -> None:
    server = valkey(folder, kept=True)
    server.folder.mkdir()
    for entries in ("REDIS9999 of a newer version", "damaged"):
        (server.folder / "dump.rdb").write_text(entries)
        with server:
            assert ask(server)
            assert server.set_aside
            assert server.set_aside.read_text() == entries
    with server:
        assert server.set_aside is None


def test_entries_are_not_set_aside_if_the_start_fails_for_another_reason(folder: Path) -> None:
    with valkey(folder, kept=True):
        pass
    with pytest.raises(StartFailed):
        valkey(folder, settings={"no_such_setting": "1"}).start()
    assert (folder / "valkey/dump.rdb").exists()


def test_data_survives_a_stop_and_what_was_committed_survives_a_crash(folder: Path) -> None:
    with PostgresServer(folder / "postgres") as server:
        select(server, "create table kept as select 42 as it")
        server.kill()
        server.start()
        assert select(server, "select it from kept") == 42
    with PostgresServer(folder / "postgres") as server:
        assert select(server, "select it from kept") == 42


def test_a_start_after_an_interrupted_first_start_works(folder: Path) -> None:
    (folder / "postgres" / "data.new").mkdir(parents=True)
    (folder / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    with postgres(folder) as server:
        assert ask(server)


def test_the_database_is_as_the_project_expects_it(folder: Path) -> None:
    with postgres(folder) as server:
        assert server.url == f"postgresql://postgres@127.0.0.1:{server.port}/cacheaside"
        assert select(server, "select current_setting('server_version_num')::int / 10000") == 18
        assert select(server, "show timezone") == "UTC"
        assert select(server, "show listen_addresses") == "127.0.0.1"
        assert select(server, "show server_encoding") == "UTF8"
        assert select(server, "select string_agg(x, '' order by x) from unnest(array['b', 'a', 'B', 'é']) x") == "Babé"
        select(server, "create role cacheaside_query login")
        assert select(server, "select current_user", role="cacheaside_query") == "cacheaside_query"


def test_the_cache_keeps_nothing_on_disk_and_takes_settings(folder: Path) -> None:
    with valkey(folder, settings={"maxmemory": "3mb"}) as server:
        with redis.from_url(server.url) as client:
            client.set("a", 1)
            assert client.config_get("maxmemory") == {"maxmemory": str(3 * 1024 * 1024)}
            server.configure({"maxmemory": "4mb"})
            assert client.config_get("maxmemory") == {"maxmemory": str(4 * 1024 * 1024)}
        server.restart()
        with redis.from_url(server.url) as client:
            assert client.get("a") is None
            assert client.config_get("maxmemory") == {"maxmemory": str(4 * 1024 * 1024)}
    assert {path.name for path in server.folder.iterdir()} == {"server.pid", "valkey.log"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are closed to the user that PostgreSQL gets")
def test_as_root_in_a_closed_folder_postgresql_still_starts_and_is_not_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout in /root: other users can reach neither the data nor the programs in its .venv."""
    tmp_path.chmod(0o700)
    (tmp_path / "bin").symlink_to(local.servers.postgres._bin())
    monkeypatch.setattr(local.servers.postgres, "_bin", lambda: tmp_path / "bin")
    with postgres(tmp_path) as server:
        select(server, "create table written as select 1")
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert "CapEff:\t0000000000000004" in status, "to read and search, and nothing else"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no rights to give up")
def test_as_root_in_an_open_folder_postgresql_keeps_no_capability(folder: Path) -> None:
    with postgres(folder) as server:
        assert "CapEff:\t0000000000000000" in Path(f"/proc/{server.pid}/status").read_text()


def test_a_kept_cache_survives_a_stop_but_is_empty_after_a_crash(folder: Path) -> None:
    server = ValkeyServer(folder, kept=True)

    def tags(**changes: str | None) -> set[bytes]:
        with redis.Redis(HOST, server.port) as client:
            for name, value in changes.items():
                client.delete(name) if value is None else client.set(name, value)
            return set(client.keys())

    with server:
        tags(one="1", two="2")
    with server:
        assert tags() == {b"one", b"two"}
        tags(one=None)
        server.kill()
        server.start()
        assert tags() == set()
