"""The scripts that the server runs: steps on one slot that must be atomic.

A key can hold a value of any type and length, of which some commands fail. `pcall` returns such an error as a value. A
lease or a tag is a string of the length of a token, and anything else counts as a missing one. So it is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError

from cacheaside.drivers.cache.client import Client
from cacheaside.drivers.cache.exchange import CacheCommand

__all__ = ["ACQUIRE", "ADMIT", "DROP_OVERSIZED", "RELEASE", "RENEW", "STORE", "TAG", "Script", "run_scripts"]


class Script:
    """The text of a script, and its calls by digest. The keys of a call share a slot."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: str | bytes | int) -> tuple[CacheCommand, CacheCommand]:
        """Return the command that runs the script, and the one that loads it into the same server."""
        run = CacheCommand(keys[0], ("EVALSHA", self._digest, len(keys), *keys, *arguments))
        return run, CacheCommand(keys[0], ("SCRIPT", "LOAD", self._text))


# KEYS: lease, entry. ARGV: token, lifetime of a lease in ms. Returns the lease and the entry.
# PEXPIRE with LT changes only a longer lifetime, or none at all. A lease that has such a one is none of ours.
ACQUIRE: Final = Script("""
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or #held ~= #ARGV[1] or redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT') == 1 then
    held = ARGV[1]
    redis.call('SET', KEYS[1], held, 'PX', ARGV[2])
end
local entry = redis.pcall('GET', KEYS[2])
return {held, type(entry) == 'string' and entry}
""")

# KEYS: tag. ARGV: 16 random bytes, lifetime in ms. Returns the version, which is a new one only if there was none.
# The time is a part of it, because a call may be sent twice: if an invalidation comes between, the version of before
# must not come back. Another query may have made this tag with a shorter lifetime than this entry needs.
TAG: Final = Script("""
local version = redis.pcall('GET', KEYS[1])
if type(version) ~= 'string' or #version ~= #ARGV[1] then
    local time = redis.call('TIME')
    version = string.sub(ARGV[1], 1, 8) .. struct.pack('>I8', time[1] * 1000000 + time[2])
    redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
end
return version
""")

# KEYS: the count of a query. ARGV: µs of room that a new answer takes, µs of room that there are at most. Returns 1 if
# there was room. The value is the time until which room is used up, so it refills by itself, and ends when it is full:
# GCRA, ITU-T I.371 annex A. A value that ours cannot be counts as a missing one.
ADMIT: Final = Script("""
local time = redis.call('TIME')
local now, used = time[1] * 1000000 + time[2], redis.pcall('GET', KEYS[1])
used = type(used) == 'string' and tonumber(used) or now
if not (used >= now and used <= now + ARGV[2]) then used = now end
used = used + ARGV[1]
if used > now + ARGV[2] then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', used), 'PX', math.ceil((used - now) / 1000))
return 1
""")

# KEYS: entry, lease. ARGV: token, entry, lifetime in ms. Returns 1 if it stored the entry.
STORE: Final = Script("""
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
""")

# KEYS: lease. ARGV: token, lifetime in ms. Returns 1 if the lease is held. One that has ended does not begin again.
RENEW: Final = Script("""
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
""")

# KEYS: lease. ARGV: token, and perhaps a failure to leave, and its lifetime in ms. Returns 1 if it released the lease.
RELEASE: Final = Script("""
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end
return 1
""")

# KEYS: a key of ours. ARGV: the most bytes that a value of ours has. Returns 1 if it deleted the value.
DROP_OVERSIZED: Final = Script("""
local bytes = redis.pcall('STRLEN', KEYS[1])
if type(bytes) == 'number' and bytes > tonumber(ARGV[1]) then return redis.call('DEL', KEYS[1]) end
return 0
""")


def run_scripts(client: Client, calls: Sequence[tuple[CacheCommand, CacheCommand | None]], *, again: bool) -> list[Any]:
    """Return the reply to each call. Scripts that a server does not know are loaded first. Raises redis-py's errors.

    A plain command is a call without a script to load. It may run twice. So may a script, if another one is unknown.
    """
    runs, loads = [run for run, _ in calls], [load for _, load in calls if load is not None]
    try:
        return client.run(runs, again=again)
    except NoScriptError:
        return client.run(loads + runs, again=again)[len(loads) :]
