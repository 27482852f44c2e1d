"""`python -m local demo`: the table, and when it fails."""

import re
from pathlib import Path

import redis

from local.servers.valkey import ValkeyServer
from tests.component.support.checkout import Checkout, copy_project
from tests.support.root import FUNCTIONS


def test_the_demo_shows_every_query_cold_and_warm_beside_a_run(checkout: Checkout) -> None:
    with checkout.running():
        status, out, err = checkout.finish("demo")
    assert (status, err.count("Traceback")) == (0, 0)
    table = out.splitlines()[-4:]
    assert re.fullmatch("query +miss ms +hit ms +ratio +Cache-Status of the second call", table[0])
    assert [line.split()[0] for line in table[2:]] == ["slow", "one"]
    assert all(line.endswith("cacheaside; hit; ttl=60") for line in table[2:])


def test_the_demo_fails_when_a_second_call_is_no_hit(checkout: Checkout) -> None:
    template = checkout.folder / "template.yaml"
    template.write_text(template.read_text().replace('FORGETFUL: "0"', 'FORGETFUL: "1"'))
    status, out, _ = checkout.finish("demo")
    assert status == 1
    assert out.count("← not a hit") == 2


def test_the_demo_passes_over_a_query_without_an_example_and_fails(checkout: Checkout) -> None:
    app = checkout.folder / "functions/told/app.py"
    app.write_text(app.read_text().replace(', "example": 3', ""))
    status, out, err = checkout.finish("demo")
    assert (status, err.count("Traceback")) == (1, 0)
    assert "give the required parameter" in out
    assert out.splitlines()[-1].split()[0] == "slow", "the other one is measured"


def test_the_demo_deletes_only_its_own_keys_from_a_given_cache(checkout: Checkout, folder: Path) -> None:
    with ValkeyServer(folder / "cache") as cache, redis.from_url(cache.url) as client:
        client.mset({"cacheaside:entry:1": 1, "cacheaside:tag:products": 1, "other": 1})
        assert checkout.finish("demo", CACHE_URL=cache.url)[0] == 0
        assert client.keys() == [b"other"]


def test_a_whole_catalogue_is_served_warm(folder: Path) -> None:
    checkout = copy_project(folder)
    for _ in range(3):  # a slow cache, as on a machine that stopped for a moment, is bypassed for a while
        status, out, err = checkout.finish("demo", SAMPLE_SIZE="200")
        if status == 0:
            break
    assert status == 0, out + err
    queries = {path.stem for path in (FUNCTIONS / "catalogue/queries").glob("*.sql")}
    assert {line.split()[0] for line in out.splitlines()[-len(queries) :]} == queries
