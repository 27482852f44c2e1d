"""The access strings of the cache users, on a real Valkey node and cluster: each allows what is needed and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from cacheaside.drivers.cache import exchange
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.errors import CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.keys import Keys, tag_key
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from tests.component.support.timeouts import lengthen_timeouts
from tests.template.support.stack import Stack

Server = ValkeyServer | ValkeyCluster
Servers = Iterator[Server]

PASSWORD = "in-place-of-a-token"
ROLES = ("query", "command", "invalidate")
ENTRY, LEASE, TAG, THEIRS = "cacheaside:entry:{q}", "cacheaside:lease:{q}", tag_key("orders"), "another-application"
KEYS = Keys("q", ENTRY, LEASE, (TAG,))

# Command -> the roles that may send it. Other roles get NOPERM. Any other answer of the server means permission.
ACTIONS: dict[str, set[str]] = {
    "PING": {"query", "command", "invalidate"},
    "CLUSTER SLOTS": {"query", "command", "invalidate"},
    "ASKING": {"query", "command", "invalidate"},
    f"GET {ENTRY}": {"query"},
    f"MGET {ENTRY} {LEASE}": {"query", "invalidate"},
    f"MGET {TAG}": {"query", "invalidate"},
    f"SET {ENTRY} answer": {"query"},
    f"SET {LEASE} token NX PX 1000": {"query"},
    f"SET {TAG} version NX PX 1000": {"query", "command"},
    f"SET {TAG} version PX 1 GET": {"query", "command"},
    f"PEXPIRE {TAG} 1000 GT": {"query"},
    f"DEL {TAG}": {"query", "command", "invalidate"},
    f"DEL {ENTRY}": {"query", "invalidate"},
    f"DEL {LEASE}": {"query", "invalidate"},
    "SCRIPT LOAD return": {"query"},
    f"EVALSHA {'0' * 40} 1 {ENTRY}": {"query"},
    "SCAN 0": {"invalidate"},
    f"OBJECT IDLETIME {ENTRY}": {"invalidate"},
    f"PEXPIRETIME {ENTRY}": {"invalidate"},
    "INFO replication": {"command", "invalidate"},
    "WAIT 0 1": {"command"},
    # Keys of other applications.
    f"GET {THEIRS}": set(),
    f"MGET {ENTRY} {THEIRS}": set(),
    f"OBJECT IDLETIME {THEIRS}": set(),
    f"SET {THEIRS} 1": set(),
    f"DEL {THEIRS}": set(),
    f"EVALSHA {'0' * 40} 1 {THEIRS}": set(),
    "GET cacheaside": set(),
    # Commands that affect or reveal all keys, or run code.
    "FLUSHALL": set(),
    "FLUSHDB": set(),
    "KEYS *": set(),
    "RANDOMKEY": set(),
    "COMMAND": set(),
    "DBSIZE": set(),
    f"RENAME {ENTRY} {LEASE}": set(),
    f"DUMP {ENTRY}": set(),
    f"OBJECT ENCODING {ENTRY}": set(),
    f"PERSIST {ENTRY}": set(),
    f"EVAL return 1 {ENTRY}": set(),
    "SCRIPT FLUSH": set(),
    "FUNCTION LIST": set(),
    "PUBLISH channel text": set(),
    "SUBSCRIBE channel": set(),
    # Administration of the server.
    "CONFIG GET *": set(),
    "CONFIG SET maxmemory 1": set(),
    "ACL LIST": set(),
    "ACL WHOAMI": set(),
    "CLIENT LIST": set(),
    "CLIENT KILL TYPE normal": set(),
    "MONITOR": set(),
    "SLOWLOG GET": set(),
    "SAVE": set(),
    "SHUTDOWN NOSAVE": set(),
    "REPLICAOF NO ONE": set(),
    "CLUSTER NODES": set(),
    "CLUSTER RESET": set(),
    "CLUSTER FAILOVER": set(),
}


@pytest.fixture(autouse=True)
def long_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    lengthen_timeouts(monkeypatch)


@pytest.fixture(scope="module", params=[CacheMode.NODE, CacheMode.CLUSTER], ids=lambda mode: mode.value)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, default: Stack
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("valkey")
    users = folder / "users.acl"
    lines = [
        "user default on nopass ~* &* +@all",  # to start the servers; ElastiCache has no such user
        *(
            f"user {user['UserId']} >{PASSWORD} {user['AccessString']}"
            for user in default.of_type("AWS::ElastiCache::User").values()
        ),
    ]
    users.write_text("\n".join(lines) + "\n")
    with _started(request.param, folder, {"aclfile": str(users)}) as server:
        yield server


def _started(mode: CacheMode, folder: Path, settings: dict[str, str]) -> Server:
    return (ValkeyServer if mode is CacheMode.NODE else ValkeyCluster)(folder / mode.value, settings=settings)


def port_of(server: Server) -> int:
    port = server.port if isinstance(server, ValkeyServer) else server.nodes[0].port
    assert port is not None
    return port


def settings_of(server: Server, role: str, replicas: int = 0) -> CacheSettings:
    mode = CacheMode.NODE if isinstance(server, ValkeyServer) else CacheMode.CLUSTER
    url = f"redis://shop-{role}:{PASSWORD}@127.0.0.1:{port_of(server)}"
    authentication = Authentication.URL
    return CacheSettings(url=url, authentication=authentication, region="", name="", mode=mode, replicas=replicas)


def cache_of(server: Server, role: str) -> Cache:
    return Cache(settings_of(server, role))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ACTIONS)
def test_role_may_do_this_and_not_that(server: Server, role: str, action: str) -> None:
    client = redis.Redis("127.0.0.1", port_of(server), username=f"shop-{role}", password=PASSWORD, protocol=2)
    allowed = True
    with client:
        try:
            client.execute_command(*action.split())  # type: ignore[no-untyped-call]
        except NoPermissionError:
            allowed = False
        except redis.ResponseError:  # such as: this key is on another node; cluster support is disabled
            pass
    assert allowed == (role in ACTIONS[action])


def test_query_user_can_do_every_step_of_a_read(server: Server) -> None:
    cache = cache_of(server, "query")
    take = steps.Acquire(KEYS, token=b"mine", seeds=(b"s",), tag_ms=1000)
    cache.ping()
    cache.look(steps.Look(KEYS))
    assert cache.acquire(take).won
    assert cache.renew(steps.Renew(KEYS, b"mine"))
    cache.release(steps.Release(KEYS, b"mine", b"a failure"))
    assert cache.acquire(take).won
    cache.release(steps.Release(KEYS, b"mine"))
    assert cache.acquire(take).won
    assert cache.store(steps.Store(KEYS, b"mine", b"answer", 1000))


def test_command_user_can_invalidate_and_wait_for_replicas(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_CONFIRM_MS", 50)  # there is no replica to wait for
    tags = ["orders", "products:42"]
    ConfirmedTagCache(settings_of(server, "command")).invalidate_tags(tags)
    with pytest.raises(CacheUnavailable) as refused:
        ConfirmedTagCache(settings_of(server, "command", replicas=1)).invalidate_tags(tags)
    assert isinstance(refused.value.__cause__, exchange.NotReplicated)  # so WAIT was permitted


def test_command_user_cannot_touch_an_answer(server: Server) -> None:
    with pytest.raises(CacheUnavailable) as refused:
        cache_of(server, "command").invalidate_entry(ENTRY, LEASE)
    assert isinstance(refused.value.__cause__, NoPermissionError)


def test_invalidate_user_can_invalidate_and_check_the_remaining_answers(server: Server) -> None:
    cache = VerifiedCache(settings_of(server, "invalidate"))
    cache.ping()
    cache.invalidate_tags(["orders", "products:42"])
    cache.invalidate_entry(ENTRY, LEASE)
    cache.values([ENTRY, TAG])
    assert cache.replication_ids()


def test_invalidate_user_learns_which_answers_were_read(server: Server) -> None:
    """Without permission all of them would count as read."""
    acquire = steps.Acquire(KEYS, token=b"mine", seeds=(b"s",), tag_ms=1000)
    query = cache_of(server, "query")
    assert query.acquire(acquire).won
    assert query.store(steps.Store(KEYS, b"mine", b"answer", 60_000))
    cache = VerifiedCache(settings_of(server, "invalidate"))
    assert cache.recently_read(90)[0].keys() == {ENTRY}
    assert cache.recently_read(-1) == ({}, True)


@pytest.mark.parametrize("role", ["command", "invalidate"])
def test_writing_users_cannot_put_an_answer_in(server: Server, role: str) -> None:
    cache = cache_of(server, role)
    with pytest.raises(CacheUnavailable):
        cache.acquire(steps.Acquire(KEYS, token=b"mine", seeds=(b"s",), tag_ms=1000))
    with pytest.raises(CacheUnavailable):
        cache.store(steps.Store(KEYS, b"mine", b"answer", 1000))


@pytest.mark.parametrize("role", ROLES)
def test_users_find_their_way_while_a_slot_moves(server: Server, role: str) -> None:
    if isinstance(server, ValkeyServer):
        return  # a single node has all slots
    owner = server.owner(TAG)
    to = next(node for node in server.nodes if node is not owner)
    cache = (ConfirmedTagCache if role == "command" else Cache)(settings_of(server, role))
    cache.invalidate_tags(["orders"])
    with server.moving(TAG, to):
        cache.invalidate_tags(["orders"])
    cache.invalidate_tags(["orders"])
