"""The access strings of the cache users, tried on a real Valkey with the real driver: enough, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from cacheaside import steps
from cacheaside.drivers.cache import Cache
from cacheaside.drivers.cache_client import NotReplicated
from cacheaside.errors import CacheUnavailable
from cacheaside.keys import Keys, tag_key
from cacheaside.settings import Authentication, CacheSettings
from local.valkey import ValkeyServer
from tests.template.stack import Stack

PASSWORD = "in-place-of-a-token"
FORBIDDEN = (
    ("FLUSHALL",),
    ("CONFIG", "GET", "*"),
    ("KEYS", "*"),
    ("ACL", "LIST"),
    ("GET", "another-application"),
    ("SET", "another-application", "1"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, default: Stack) -> Iterator[ValkeyServer]:
    users = tmp_path_factory.mktemp("valkey") / "users.acl"
    lines = [
        "user default on nopass ~* &* +@all",  # for starting the server; ElastiCache has none
        *(
            f"user {user['UserId']} >{PASSWORD} {user['AccessString']}"
            for user in default.of_type("AWS::ElastiCache::User").values()
        ),
    ]
    users.write_text("\n".join(lines) + "\n")
    with ValkeyServer(users.parent, settings={"aclfile": str(users)}) as server:
        yield server


def cache_of(server: ValkeyServer, user: str, replicas: int = 0) -> Cache:
    url = f"redis://shop-{user}:{PASSWORD}@127.0.0.1:{server.port}"
    return Cache(CacheSettings(url=url, authentication=Authentication.URL, region="", name="", replicas=replicas))


def test_query_user_can_do_every_step_of_a_read(server: ValkeyServer) -> None:
    cache = cache_of(server, "query")
    keys = Keys("cacheaside:entry:{q}", "cacheaside:lease:{q}", (tag_key("orders"),))
    take = steps.Acquire(keys, token=b"mine", lease_ms=1000, new_versions=(b"v",), tag_ms=1000)
    cache.ping()
    cache.look(steps.Look(keys))
    assert cache.acquire(take).won
    cache.release(steps.Release(keys, b"mine"))
    assert cache.acquire(take).won
    assert cache.store(steps.Store(keys, b"mine", b"answer", 1000))


def test_command_user_can_have_replicas_confirm(server: ValkeyServer) -> None:
    with pytest.raises(CacheUnavailable) as caught:  # there is none to confirm, but it was asked for
        cache_of(server, "command", replicas=1).invalidate_tags(["orders"])
    assert isinstance(caught.value.__cause__, NotReplicated)


def test_invalidate_user_can_tell_primaries_apart_and_read_what_is_to_be_verified(server: ValkeyServer) -> None:
    cache = cache_of(server, "invalidate")
    assert cache.replication_ids()
    with redis.Redis("127.0.0.1", server.port) as side:
        side.set("cacheaside:entry:{q}", b"answer")
    found: list[tuple[str, bytes]] = []
    for _ in range(10):
        found += cache.sample(5)
    assert ("cacheaside:entry:{q}", b"answer") in found
    keys = Keys("cacheaside:entry:{q}", "cacheaside:lease:{q}", (tag_key("orders"),))
    assert cache.look(steps.Look(keys)).entry == b"answer"


@pytest.mark.parametrize("user", ["command", "invalidate"])
def test_writing_users_can_take_answers_out_and_not_put_any_in(server: ValkeyServer, user: str) -> None:
    cache = cache_of(server, user)
    cache.ping()
    cache.invalidate_tags(["orders", "products:42"])
    cache.invalidate_entry("cacheaside:entry:{q}", "cacheaside:lease:{q}")
    keys = Keys("cacheaside:entry:{q}", "cacheaside:lease:{q}", ())
    with pytest.raises(CacheUnavailable):
        cache.acquire(steps.Acquire(keys, token=b"mine", lease_ms=1000, new_versions=(), tag_ms=1000))


@pytest.mark.parametrize("user", ["query", "command", "invalidate"])
@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
def test_no_user_can_do_more(server: ValkeyServer, user: str, command: tuple[str, ...]) -> None:
    with (
        redis.Redis("127.0.0.1", server.port, username=f"shop-{user}", password=PASSWORD, protocol=2) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)
