"""The runbooks of the cache: breaker open and hit ratio."""

from __future__ import annotations

from typing import Final

import redis

from tests.component.runbooks.alarms import is_on, metrics_of
from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import SECTIONS
from tests.component.runbooks.stack import RunbookStack
from tests.support.wait_until import wait_until

BREAKER: Final = SECTIONS["Breaker open"]
RATIO: Final = SECTIONS["Hit ratio"]


def test_breaker_open(stack: RunbookStack) -> None:
    """Without the cache the alarm is on, the answers come from PostgreSQL, and two queries show the reason."""
    lines: list[str] = []

    def opened() -> bool:
        assert stack.get("/queries/gift?id=1").status == 200
        lines.extend(stack.log("QueryFunction"))
        return is_on("breaker-open", metrics_of(lines))

    stack.valkey.stop()
    try:
        wait_until(opened)
        [of_query] = BREAKER.queries("query")
        [row] = run(of_query, lines)
        assert "Connection refused" in row["@message"]
        assert stack.post("/invalidations", {"tags": ["gifts"]}).status == 503
        [of_invalidate] = BREAKER.queries("invalidate")
        [row] = run(of_invalidate, stack.log("InvalidateFunction"))
        assert "Connection refused" in row["exception"]
        health = stack.get("/health").json
        assert (health["cache"]["up"], health["database"]["up"]) == (False, True)
    finally:
        stack.valkey.start()
    wait_until(lambda: "fwd" not in stack.get("/queries/gift?id=1").cache)
    stack.forget_logs()
    stack.get("/queries/gift?id=1")
    assert not is_on("breaker-open", metrics_of(stack.log("QueryFunction")))


def test_password_that_the_cache_refuses(stack: RunbookStack) -> None:
    """A user that is gone, or a token that is refused, is a connection that cannot be opened."""
    sandbox = stack.new_sandbox("QueryFunction", CACHE_URL=stack.valkey.url.replace("//", "//gone:password@"))
    with sandbox:
        stack.get_from(sandbox, "/queries/gift?id=1")
        [row] = run(BREAKER.queries("query")[0], sandbox.log.read_text().splitlines())
    assert "invalid username-password pair" in row["@message"]
    assert BREAKER.action("invalid username-password pair")


def test_hit_ratio(stack: RunbookStack) -> None:
    """`by_query` finds the metrics by which the table tells its causes."""
    for target in ("/queries/waiting?id=1", "/queries/waiting?id=1", "/queries/waiting?id=2"):
        stack.get(target)
    with redis.Redis.from_url(stack.valkey.url) as client:
        client.execute_command("ACL SETUSER default -mget")
        stack.get("/queries/waiting?id=3")
        health = stack.get("/health").json
        client.execute_command("ACL SETUSER default +mget")
    stack.get("/queries/waiting?id=4")  # a second after the last line, the metrics are written
    lines: list[str] = stack.log("QueryFunction")

    def counted(metric: str) -> int:
        return len(metrics_of(lines).get(("shop", metric, (("query", "waiting"),)), []))

    def all_are_written() -> bool:
        stack.get("/queries/slow")  # its error is written at once, and what was collected with it
        lines.extend(stack.log("QueryFunction"))
        return counted("CacheTime") >= 5

    wait_until(all_are_written)
    assert (counted("Miss"), counted("Bypass")) == (3, 1)
    # The row about a cache that refuses commands: no breaker, a healthy cache, and a line that tells why.
    assert health["cache"]["up"]
    assert not is_on("breaker-open", metrics_of(lines))
    [refused] = [line for line in lines if "the cache refuses a command" in line]
    assert "no permissions to run the 'mget' command" in refused
    assert RATIO.action("`Bypass`", "no breaker is open", "NOPERM")
