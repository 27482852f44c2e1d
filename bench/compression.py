"""The benefit and the cost of compressed entries: `python -m bench.compression` prints the table of docs/benchmarks.md.

A hit is all work from the bytes that the cache sent to the answer that Lambda returns: decode the entry, make the
response, render its envelope as JSON. Times are ratios to a hit whose entry is not compressed. They do not include the
network, which carries the stored bytes twice, and base64 once, from Lambda to API Gateway.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from timeit import repeat

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.http.answers import respond
from cacheaside.reading.entry import Entry, decode, encode, entity_tag, pack
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.reader import Answer

WORDS = ["blue", "cotton", "cup", "desk", "green", "lamp", "large", "mug", "oak", "paper", "red", "small", "wool"]
ENTRY = Entry(
    body=b"",
    created_ms=0,
    fresh_until_ms=60_000,
    load_ms=1,
    token=bytes(16),
    tag_versions=(),
    etag=b"",
    question=bytes(16),
    query_string="",
)
QUERY = Query(name="", summary="", sql="", returns="one", timeout_ms=1, tags=(), parameters={}, policy=Policy(ttl_ms=1))


def products_json(size: int) -> bytes:
    """Return about `size` bytes of products, formatted as PostgreSQL formats JSON."""
    dice = random.Random(size)
    body = '{"data":['
    while len(body) < size:
        name = " ".join(dice.sample(WORDS, 3)).capitalize()
        row = {"id": dice.randrange(10**6), "name": name, "price": dice.randrange(10**5) / 100}
        body += json.dumps(row, separators=(",", ":")) + ","
    return f"{body[:-1]}]}}".encode()


def stored(body: bytes, *, compress: bool) -> bytes:
    """Return the entry of `body` as the cache stores it."""
    encoding, packed = pack(body, compress=compress)
    return encode(ENTRY._replace(body=packed, encoding=encoding, etag=entity_tag(body)))


def hit(data: bytes, accept_encoding: str) -> Callable[[], str]:
    """Return a function that answers one hit with the text that Lambda returns."""

    def answer() -> str:
        entry = decode(data)
        assert entry is not None
        hit_answer = Answer(Outcome(source=Source.HIT, entry=entry), 1, 0.1, None, 0.1)
        return json.dumps(respond(QUERY, hit_answer, {"accept-encoding": accept_encoding}).to_event())

    return answer


def fastest(action: Callable[[], object]) -> float:
    """Return the least seconds of many runs: any time above it went to other processes."""
    number = max(1, int(0.02 / min(repeat(action, number=1, repeat=3))))
    return min(repeat(action, number=number, repeat=15)) / number


def main() -> None:
    print(
        "| body | stored | hit, gzip taken | hit, gzip not taken | packing, once for each load |\n" + "|---:" * 5 + "|"
    )
    for size in (1_024, 10_000, 100_000, 1_000_000):
        body = products_json(size)
        plain, packed = stored(body, compress=False), stored(body, compress=True)
        uncompressed = fastest(hit(plain, "gzip"))
        times = [fastest(hit(packed, "gzip")), fastest(hit(packed, "")), fastest(partial(pack, body))]
        ratios = " | ".join(f"{each / uncompressed:.2f}×" for each in times)
        print(f"| {size // 1000:,} kB | {len(packed) / len(plain):.0%} | {ratios} |")


if __name__ == "__main__":
    main()
