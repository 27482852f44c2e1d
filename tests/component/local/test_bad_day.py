"""`cacheaside run` on a bad day: one sentence for what cannot be used, ended servers run again, and nothing is left."""

import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
import redis

from local.servers.processes import alive, descendants
from tests.component.support.checkout import Checkout
from tests.support.wait_until import wait_until

F_SETPIPE_SZ = 1031  # of Linux


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda local: local.touch(), r"\.local: File exists; a file, a folder or a link is in the place of another.*"),
        (lambda local: local.symlink_to("/no/where"), r"\.local: File exists; .*"),
        (lambda local: (local / "lock").mkdir(parents=True), r"\.local/lock: Is a directory; .*"),
        (lambda local: (local / "log/valkey.log").mkdir(parents=True), r"\.local/log/valkey\.log: Is a directory; .*"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(
    checkout: Checkout, prepare: Callable[[Path], None], problem: str
) -> None:
    prepare(checkout.folder / ".local")
    status, out, err = checkout.finish("run")
    assert (status, out) == (3, "")
    assert re.fullmatch(f"cacheaside run: {re.escape(str(checkout.folder))}/{problem}\n", err), err


def test_servers_that_die_are_started_again_and_silent_ones_are_reported(checkout: Checkout, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as output, checkout.running(output=output) as process:

        def wait_for(text: str) -> None:
            wait_until(lambda: text in said.read_text())

        family = descendants(process.pid)
        os.kill(_pid(checkout, "valkey"), signal.SIGKILL)
        assert checkout.answer("/").status == 200
        wait_for("Valkey was killed by signal 9: starting it again\nValkey runs again\n")
        with redis.from_url(checkout.endpoints["CACHE_URL"]) as cache:
            assert cache.ping()

        os.kill(_pid(checkout, "postgres"), signal.SIGKILL)
        wait_for("PostgreSQL was killed by signal 9: starting it again\nPostgreSQL runs again\n")
        assert _products(checkout) == 20, "its data are there"

        frozen = _pid(checkout, "valkey")
        os.kill(frozen, signal.SIGSTOP)
        wait_for(f"Valkey has not answered for 10 s. If it is suspended, `kill -CONT {frozen}` wakes it")
        os.kill(frozen, signal.SIGCONT)
        wait_for("Valkey answers again\n")
        assert said.read_text().count("has not answered") == 1

        family += descendants(process.pid)
        process.terminate()
        process.wait(timeout=120)
        assert process.returncode == 0
        assert not [pid for pid in family if alive(pid)]


def test_output_that_is_not_read_or_closed_holds_up_neither_answers_nor_the_end(checkout: Checkout) -> None:
    """Ctrl-S, or `make run | head -1`."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as output, checkout.running(output=output) as process:
        for _ in range(100):
            assert checkout.answer("/").status == 200
        os.close(reading)
        for _ in range(10):
            assert checkout.answer("/").status == 200
        process.terminate()
        process.wait(timeout=120)
        assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_stops_no_answer_and_loses_no_data(checkout: Checkout) -> None:
    handler = checkout.folder / "functions/told/app.py"
    handler.write_text(re.sub(r"os\.write\(1, .*\)", "", handler.read_text()))  # it would get the error
    with _small_disk(checkout.folder / ".local", megabytes=200) as local:
        with checkout.running() as process:
            _fill(local, local / "log/QueryFunction.log")
            assert checkout.answer("/").status == 200, "its function prints to the full log"
            assert checkout.answer("/raise/x").status == 500
            assert checkout.answer("/").status == 200
            process.terminate()
            _, err = process.communicate(timeout=120)
            assert (process.returncode, "Traceback" in err) == (0, False), err
        status, _, err = checkout.finish("run")
        assert status == 3
        assert re.fullmatch(r"cacheaside run: .*[Nn]o space left on .*; free some space and start again\n", err), err
        (local / "filler").unlink()
        with checkout.running():
            assert _products(checkout) == 20


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets root mount nothing")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(folder: Path, log: Path) -> None:
    """Take all that is free of the disk, and of the last page of the log."""
    with log.open("ab") as end:
        end.write(b"\n" * (-log.stat().st_size % os.sysconf("SC_PAGE_SIZE")))
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(1 << 16))
        except OSError:
            pass


def _pid(checkout: Checkout, server: str) -> int:
    return int((checkout.folder / f".local/{server}/server.pid").read_text())


def _products(checkout: Checkout) -> object:
    with closing(psycopg2.connect(checkout.endpoints["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from products")
        return (cursor.fetchone() or [None])[0]
