"""The cache driver alone, on Valkey 8, on Valkey 9 and on a cluster: each step, and every way to fail in time."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.crc import key_slot

from cacheaside.drivers import bounded
from cacheaside.drivers.cache import Cache
from cacheaside.drivers.cache_connections import CALL_S
from cacheaside.errors import CacheUnavailable
from cacheaside.keys import Keys, statement_keys, tag_key
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from cacheaside.steps import Acquire, Look, Looked, Release, Store
from local.valkey_cluster import ValkeyCluster
from tests.component.conftest import client_of, settings_of
from tests.component.pretender import pretender, scripted

TAGS = ("orders", "products", "customers", "products:42")
KEYS = statement_keys("top_products", "select 1", {}, TAGS)
VERSIONS = tuple(bytes([number]) * 16 for number in range(1, 1 + len(TAGS)))
SOON = 5 * CALL_S  # generous: the machine may be busy


@pytest.fixture
def side(cache_server: Any) -> Iterator[Any]:
    """The cache, empty, from the side."""
    with client_of(cache_server) as client:
        client.flushall()
        yield client


@pytest.fixture
def new_cache(cache_server: Any, side: Any) -> Callable[[], Cache]:
    """Makes the cache of another sandbox."""
    return lambda: Cache(settings_of(cache_server))


@pytest.fixture
def cache(new_cache: Callable[[], Cache]) -> Cache:
    return new_cache()


@pytest.fixture(scope="module")
def three(cache_servers: Callable[[str], Any]) -> ValkeyCluster:
    """The cluster, for what there is only there."""
    cluster: ValkeyCluster = cache_servers("cluster-8")
    return cluster


def take(token: bytes, keys: Keys = KEYS, lease_ms: int = 60_000, tag_ms: int = 60_000) -> Acquire:
    return Acquire(keys, token, lease_ms, VERSIONS[: len(keys.tags)], tag_ms)


def keys_on(cluster: ValkeyCluster, node: int) -> Keys:
    """Keys of an answer without tags that live on one node."""
    candidates = (Keys(f"cacheaside:entry:{{{n}}}", f"cacheaside:lease:{{{n}}}", ()) for n in range(1000))
    return next(keys for keys in candidates if cluster.owner(keys.entry) is cluster.nodes[node])


@contextmanager
def unavailable_soon() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(CacheUnavailable):
        yield
    assert time.monotonic() - began < SOON


# Steps


def test_nothing_is_found_in_an_empty_cache(cache: Cache) -> None:
    assert cache.look(Look(KEYS)) == Looked(None, None, (None,) * len(TAGS))


def test_of_two_clients_one_gets_the_lease_and_the_other_sees_it(new_cache: Callable[[], Cache]) -> None:
    first, second = new_cache().acquire(take(b"first")), new_cache().acquire(take(b"second"))
    assert (first.won, second.won) == (True, False)
    assert first.looked == second.looked == Looked(None, b"first", VERSIONS)


def test_of_many_clients_at_once_one_gets_the_lease(new_cache: Callable[[], Cache]) -> None:
    start, won = threading.Barrier(8), []

    def race(number: int) -> None:
        cache = new_cache()
        # On a busy machine one may be too late for its own deadline; it has not won, then.
        with suppress(CacheUnavailable):
            cache.ping()
        start.wait(30)
        with suppress(CacheUnavailable):
            won.append(cache.acquire(take(bytes([number]))).won)

    threads = [threading.Thread(target=race, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_stored_entry_is_seen_and_the_lease_given_back(cache: Cache) -> None:
    cache.acquire(take(b"mine"))
    assert cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    assert cache.look(Look(KEYS)) == Looked(b"answer", None, VERSIONS)


def test_store_is_refused_after_the_lease_has_moved_on(cache: Cache, side: Any) -> None:
    cache.acquire(take(b"slow"))
    side.delete(KEYS.lease)
    cache.acquire(take(b"next"))
    assert not cache.store(Store(KEYS, b"slow", b"old answer", 60_000))
    assert cache.look(Look(KEYS)) == Looked(None, b"next", VERSIONS)


def test_store_is_refused_without_any_lease(cache: Cache) -> None:
    assert not cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    assert cache.look(Look(KEYS)).entry is None


def test_only_the_holder_can_release_a_lease(cache: Cache) -> None:
    cache.acquire(take(b"mine"))
    cache.release(Release(KEYS, b"another's"))
    assert cache.look(Look(KEYS)).lease == b"mine"
    cache.release(Release(KEYS, b"mine"))
    assert cache.look(Look(KEYS)).lease is None


def test_a_tag_that_has_a_version_keeps_it(cache: Cache, side: Any) -> None:
    side.set(KEYS.tags[1], b"known")
    assert cache.acquire(take(b"mine")).looked.tags == (VERSIONS[0], b"known", *VERSIONS[2:])


def test_everything_has_an_end(cache: Cache, side: Any) -> None:
    cache.acquire(take(b"mine", lease_ms=30_000, tag_ms=90_000))
    assert 0 < side.pttl(KEYS.lease) <= 30_000
    assert all(30_000 < side.pttl(tag) <= 90_000 for tag in KEYS.tags)
    cache.store(Store(KEYS, b"mine", b"answer", 20_000))
    assert 0 < side.pttl(KEYS.entry) <= 20_000


def test_a_tags_life_is_made_longer_never_shorter(cache: Cache, side: Any) -> None:
    side.set(KEYS.tags[0], b"short", px=1_000)
    side.set(KEYS.tags[1], b"long", px=900_000)
    cache.acquire(take(b"mine", tag_ms=60_000))
    assert side.pttl(KEYS.tags[0]) > 30_000
    assert side.pttl(KEYS.tags[1]) > 600_000


def test_invalidating_counts_the_tags_that_answers_were_made_from(cache: Cache) -> None:
    cache.acquire(take(b"mine"))
    assert cache.invalidate_tags([*TAGS[:3], "unheard-of"]) == 3
    assert cache.look(Look(KEYS)).tags == (None, None, None, VERSIONS[3])
    assert cache.invalidate_tags(TAGS[:3]) == 0


def test_invalidating_an_entry_also_refuses_the_one_that_is_loading(cache: Cache) -> None:
    cache.acquire(take(b"mine"))
    cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    cache.acquire(take(b"again"))
    assert cache.invalidate_entry(KEYS.entry, KEYS.lease)
    assert not cache.store(Store(KEYS, b"again", b"answer", 60_000))
    assert not cache.invalidate_entry(KEYS.entry, KEYS.lease)


def test_entry_and_lease_share_a_slot_and_tags_do_not() -> None:
    assert key_slot(KEYS.entry.encode()) == key_slot(KEYS.lease.encode())
    assert len({key_slot(tag.encode()) for tag in KEYS.tags}) > 1


def test_scripts_are_loaded_again_after_a_flush(cache: Cache, side: Any) -> None:
    for _ in range(2):
        side.script_flush()
        cache.acquire(take(b"mine"))
        assert cache.store(Store(KEYS, b"mine", b"answer", 60_000))


def test_a_connection_that_the_server_has_closed_costs_nothing(cache: Cache, cache_server: Any) -> None:
    cache.acquire(take(b"mine"))
    for node in cache_server.nodes if isinstance(cache_server, ValkeyCluster) else [cache_server]:
        with redis.Redis.from_url(node.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
    assert cache.store(Store(KEYS, b"mine", b"answer", 60_000))


# Time


def test_the_deadline_costs_a_hit_no_system_call(
    cache: Cache, cache_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.look(Look(KEYS))
    calls: list[float | None] = []
    settimeout = bounded._Socket.settimeout
    monkeypatch.setattr(
        bounded._Socket, "settimeout", lambda sock, seconds: (calls.append(seconds), settimeout(sock, seconds))
    )
    cache.look(Look(KEYS))
    # redis-py looks whether a kept connection still lives, and sets its timeout back.
    assert set(calls) == {0, CALL_S}
    assert calls.count(0) == calls.count(CALL_S)


def test_a_frozen_cache_is_given_up_in_time_and_used_again_when_it_thaws(cache: Cache, cache_server: Any) -> None:
    cache.acquire(take(b"mine"))
    cache_server.freeze()
    try:
        for step in (cache.look, cache.look):
            with unavailable_soon():
                step(Look(KEYS))
        with unavailable_soon():
            cache.ping()
        with unavailable_soon():
            cache.invalidate_tags(TAGS)
    finally:
        cache_server.thaw()
    assert eventually(lambda: cache.look(Look(KEYS)).lease) == b"mine"


def node_at(url: str, mode: CacheMode = CacheMode.NODE) -> Cache:
    return Cache(CacheSettings(url=url, authentication=Authentication.URL, region="", name="", mode=mode))


@pytest.mark.parametrize("mode", CacheMode)
@pytest.mark.parametrize("drip", [b"*6\r\n" + b"$-1\r\n" * 6, b"$100000\r\n" + b"x" * 500, b"*1000\r\n" * 100])
def test_a_server_that_drips_is_given_up_in_time(mode: CacheMode, drip: bytes) -> None:
    def dripping(connection: Any) -> None:
        connection.recv(65536)
        for byte in drip:
            connection.sendall(bytes([byte]))
            time.sleep(CALL_S / 4)

    with scripted(dripping) as url:
        cache = node_at(url, mode)
        for _ in range(2):
            with unavailable_soon():
                cache.look(Look(KEYS))


def test_a_connection_that_died_while_frozen_is_replaced_once() -> None:
    """As a NAT does it: what is sent on the old connection is answered by a reset."""
    served = []

    def once(connection: Any) -> None:
        served.append(connection)
        connection.recv(65536)
        connection.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
        connection.recv(65536)  # and then it ends without an answer

    with scripted(once) as url:
        cache = node_at(url)
        for _ in range(3):
            assert cache.look(Look(KEYS)).entry is None
    assert len(served) == 3


def test_a_store_is_never_sent_twice() -> None:
    received = []

    def once(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(b"+PONG\r\n")
        received.append(connection.recv(65536))

    with scripted(once) as url:
        cache = node_at(url)
        cache.ping()
        with unavailable_soon():
            cache.store(Store(KEYS, b"mine", b"answer", 60_000))
    assert len(received) == 1


@pytest.mark.parametrize(
    "reply", [b":42\r\n", b"*1\r\n*1\r\n:1\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"-ASK x\r\n", b"$-1\r\n"]
)
@pytest.mark.parametrize("mode", CacheMode)
def test_nonsense_is_no_answer(mode: CacheMode, reply: bytes) -> None:
    with pretender(reply) as url:
        cache = node_at(url, mode)
        for act in (lambda: cache.look(Look(KEYS)), lambda: cache.acquire(take(b"mine")), lambda: cache.sample(5)):
            with unavailable_soon():
                act()


# TLS


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server that we trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "server.pem").write_bytes(secret + certificate.public_bytes(pem))
    trusting = ssl.create_default_context(cadata=certificate.public_bytes(pem).decode())
    monkeypatch.setattr(bounded, "tls", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return context


def test_tls_is_spoken_and_given_up_in_time(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        with certified.wrap_socket(connection, server_side=True) as encrypted:
            while b"lease" in encrypted.recv(65536):
                encrypted.sendall(b"*6\r\n" + b"$-1\r\n" * 6)
            for byte in b"+PONG" * 100:
                encrypted.sendall(bytes([byte]))
                time.sleep(CALL_S / 4)

    with scripted(serve) as url:
        cache = node_at(url.replace("redis://127.0.0.1", "rediss://localhost"))
        for _ in range(2):
            assert cache.look(Look(KEYS)).entry is None
        with unavailable_soon():
            cache.ping()


def test_a_certificate_of_somebody_else_is_refused(certified: ssl.SSLContext) -> None:
    def serve(connection: Any) -> None:
        certified.wrap_socket(connection, server_side=True).recv(1)

    with scripted(serve) as url, unavailable_soon():
        node_at(url.replace("redis://", "rediss://")).ping()  # it is for localhost, not for 127.0.0.1


def test_a_handshake_that_never_ends_is_given_up_in_time() -> None:
    with pretender(None) as url, unavailable_soon():
        node_at(url.replace("redis://", "rediss://")).ping()


# Clusters


@pytest.fixture
def clustered(three: ValkeyCluster) -> Cache:
    with client_of(three) as client:
        client.flushall()
    return Cache(settings_of(three))


def test_a_slot_that_moves_is_followed(three: ValkeyCluster, clustered: Cache) -> None:
    keys = Keys("cacheaside:entry:{moving}", "cacheaside:lease:{moving}", (tag_key("orders"),))
    for token in (b"there", b"and back"):
        clustered.acquire(take(token, keys))
        clustered.store(Store(keys, token, b"answer", 60_000))
        clustered.acquire(take(token, keys))
        to = next(node for node in three.nodes if node is not three.owner(keys.entry))
        with three.moving(keys.entry, to):
            assert clustered.look(Look(keys)) == Looked(b"answer", token, VERSIONS[:1]), "asked where the slot goes"
        assert clustered.look(Look(keys)).lease == token, "found where the slot is"
        clustered.release(Release(keys, token))


def test_what_a_moving_slot_cannot_tell_is_not_waited_for(three: ValkeyCluster, clustered: Cache) -> None:
    """An entry that went ahead, and no lease: it may be on either side (TRYAGAIN)."""
    keys = keys_on(three, 0)
    clustered.acquire(take(b"mine", keys))
    clustered.store(Store(keys, b"mine", b"answer", 60_000))
    for to in (three.nodes[1], three.nodes[0]):
        with three.moving(keys.entry, to), unavailable_soon():
            clustered.look(Look(keys))
        assert clustered.look(Look(keys)).entry == b"answer"


def test_a_primary_that_is_killed_takes_only_its_own_slots_with_it(three: ValkeyCluster, clustered: Cache) -> None:
    lost, kept = keys_on(three, 0), keys_on(three, 1)
    for keys in (lost, kept):
        assert clustered.acquire(take(b"mine", keys)).won
    three.nodes[0].kill()
    try:
        with unavailable_soon():
            clustered.look(Look(lost))
        assert clustered.look(Look(kept)).lease == b"mine"
        with unavailable_soon():
            clustered.ping()
        assert clustered.look(Look(kept)).lease == b"mine"
    finally:
        three.nodes[0].start()
    assert eventually(lambda: clustered.acquire(take(b"back", lost)).won)


def test_a_primary_that_is_frozen_takes_only_its_own_slots_with_it(three: ValkeyCluster, clustered: Cache) -> None:
    lost, kept = keys_on(three, 2), keys_on(three, 1)
    for keys in (lost, kept):
        assert clustered.acquire(take(b"mine", keys)).won
    three.nodes[2].freeze()
    try:
        for _ in range(2):
            with unavailable_soon():
                clustered.look(Look(lost))
            assert clustered.look(Look(kept)).lease == b"mine"
    finally:
        three.nodes[2].thaw()
    assert eventually(lambda: clustered.look(Look(lost)).lease) == b"mine"


def eventually(act: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The result of `act` as soon as the cache is there again: nodes that were away must first find each other."""
    until = time.monotonic() + seconds
    while True:
        try:
            return act()
        except CacheUnavailable:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)
