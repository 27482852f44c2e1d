"""Runs both servers, with schema and sample data, for the time of a `with` block."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import redis

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.errors import DatabaseError
from cacheaside.invalidation.drain import Drainer
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local import recorded_url
from local.catalogue_folder import CATALOGUE
from local.connecting import connect
from local.endpoints import Endpoints, endpoints_file
from local.errors import LocalError, no_space
from local.progress import Progress
from local.servers.postgres import PostgresServer
from local.servers.server import Server
from local.servers.valkey import ValkeyServer
from local.terminal import PrintLine, one_line, short_path
from migrate.foreign_database import SampleRefused, refuse_sample
from migrate.sample_data import Sample, load
from migrate.upgrade import MigrationFailed, unknown, upgrade

__all__ = ["Stack", "running_stack"]

SAMPLE_SIZE = 20_000
BYTES_PER_ROW = 2_000  # of the sample. Includes rows of other tables that come with it, and write-ahead log
BYTES_OF_SERVER = 100_000_000
WAL_SEGMENT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Stack:
    database_url: str  # with the superuser of the embedded server, or as DATABASE_URL says
    cache_url: str
    embedded: bool  # whether the database server was started here
    log: Path  # the folder of the logs
    servers: tuple[Server, ...] = ()  # those that were started here


@contextmanager
def running_stack(folder: Path, print_line: PrintLine, *, api_url: str | None = None) -> Iterator[Stack]:
    """Start servers in `folder`, or use those of DATABASE_URL and CACHE_URL; migrate, load the sample data, and drain.

    Within the block `folder/endpoints.env` holds the addresses. Raises `LocalError`.
    """
    size, database_url = _sample_size(), recorded_url.database_url()
    if database_url:
        _refuse_sample()
    log = folder / "log"
    with ExitStack() as exits:
        exits.enter_context(_only_one(folder))
        for stale in (*log.glob("*.log"), folder / "endpoints.env"):
            stale.unlink(missing_ok=True)
        servers: list[Server] = []
        if not (cache_url := os.environ.get("CACHE_URL")):
            servers.append(valkey := exits.enter_context(_valkey(folder, log, keep=not database_url)))
            cache_url = valkey.url
            if aside := valkey.set_aside:
                print_line(f"The cache starts empty: its entries cannot be read. They are kept in {short_path(aside)}")
        embedded = not database_url
        if not database_url:
            servers.append(postgres := exits.enter_context(_postgres(folder, log, size)))
            database_url = postgres.url
        stack = Stack(database_url, cache_url, embedded, log, tuple(servers))
        _check_cache(cache_url)
        _load_schema_and_data(stack, size, folder, print_line)
        _invalidate_recorded_changes(stack)
        exits.enter_context(endpoints_file(folder, Endpoints(stack.database_url, stack.cache_url, api_url)))
        yield stack


def _valkey(folder: Path, log: Path, *, keep: bool) -> ValkeyServer:
    # Its entries are of the embedded database. They must never be served as answers of another one.
    if keep:
        return ValkeyServer(folder / "valkey", log=log / "valkey.log", kept=True)
    return ValkeyServer(folder / "valkey-unsaved", log=log / "valkey.log")


def _postgres(folder: Path, log: Path, size: int) -> PostgresServer:
    data = folder / "postgres"
    rows = _sample_rows(size)
    needed = BYTES_OF_SERVER + rows * BYTES_PER_ROW
    free = shutil.disk_usage(folder).free
    if not data.exists() and free < needed:
        raise LocalError(
            f"{free // 1_000_000:,} MB are free for {folder}, and a database with {rows:,} rows of the sample needs "
            f"{needed // 1_000_000:,} MB: free some, or choose fewer with SAMPLE_SIZE=…"
        )
    return PostgresServer(data, log=log / "postgres.log")


def _refuse_sample() -> None:
    try:
        refuse_sample(CATALOGUE)
    except SampleRefused as refused:
        raise LocalError(str(refused)) from None


def _sample_size() -> int:
    given = os.environ.get("SAMPLE_SIZE") or str(SAMPLE_SIZE)
    if not given.isdecimal():
        raise LocalError(f"SAMPLE_SIZE is {given!r}: give a whole number, 0 for no rows")
    return int(given)


def _sample_rows(size: int) -> int:
    try:
        return Sample.read(CATALOGUE, size).total
    except ValueError as error:
        raise LocalError(str(error)) from None


def _check_cache(url: str) -> None:
    try:
        client = redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
        client.connection_pool.make_connection()  # refuses parameters that it does not know
    except (ValueError, TypeError):
        # Without the reason, which may have a part of a password.
        raise LocalError(
            "CACHE_URL is not like redis://user:password@host:6379/0, with parameters of redis-py; a password in it "
            "is percent-encoded: # is %23, / is %2F, @ is %40, % is %25"
        ) from None
    try:
        with client:
            client.ping()
    except redis.exceptions.InvalidResponse:
        raise LocalError("CACHE_URL: what answers at this address is neither Valkey nor Redis") from None
    except (redis.RedisError, UnicodeError) as error:
        raise LocalError(f"CACHE_URL: {one_line(error)}") from None


def _load_schema_and_data(stack: Stack, size: int, folder: Path, print_line: PrintLine) -> None:
    """Apply the migrations and load the sample data, as the migrate function does in a deployment."""
    with closing(connect(stack.database_url)) as connection:
        task = "the migrations cannot be applied"
        try:
            if applied := upgrade(connection):
                print_line(f"Migrations applied: {len(applied)}, up to {applied[-1]}")
            if ahead := unknown(connection):
                print_line(f"The database is ahead: it has {', '.join(ahead)}, which this checkout lacks")
            task = "the sample data cannot be loaded"
            load(connection, CATALOGUE, size, Progress("Sample data"))
        except MigrationFailed as error:
            advice = ""
            if stack.embedded and "applied" in error.reason:
                advice = "; is this another catalogue? Then remove the data of the former one (`make clean`)"
            raise LocalError(f"migration {error}{advice}") from None
        except psycopg2.errors.UndefinedColumn as error:
            advice = "was the database created by an older checkout? Then remove its data (`make clean`)"
            raise LocalError(f"{task}: {one_line(error)}; {advice}") from None
        except psycopg2.Error as error:
            # A full disk ends the server. The client only sees a closed connection.
            if shutil.disk_usage(folder).free < WAL_SEGMENT:
                raise LocalError(no_space(folder)) from None
            raise LocalError(f"{task}: {one_line(error)}") from None


def _invalidate_recorded_changes(stack: Stack) -> None:
    """Drain the outbox before anything is served.

    It has the changes of migrations and sample data, and in a foreign database those of the time without a stack. The
    first sweep would drain them while the first answers are being stored, and invalidate these.
    """
    database = DatabaseSettings(stack.database_url, Authentication.URL, region="")
    cache = CacheSettings(stack.cache_url, Authentication.URL, region="", name="")
    drainer = Drainer(Outbox(database), Cache(cache))
    try:
        for _ in range(3):  # on a busy machine the cache may be late
            if drainer.drain().reachable:
                break
    except DatabaseError as error:
        raise LocalError(f"the recorded changes cannot be drained: {error}") from None


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder`. The system releases it when this process ends, even by SIGKILL. Raises `LocalError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise LocalError(f"already running in this checkout, as process {owner}: stop that one first") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
