"""Refusals of PostgreSQL that pass by themselves, by SQLSTATE. `KeptConnection` asks this module about each error.

The table has errors that leave the session usable. When PostgreSQL ends the session (57P01 to 57P05, 25P03, 25P04) or
refuses it (53300, 57P03), psycopg2 gives no SQLSTATE: the connection is lost, or there is none.

Not in the table, because a repetition fails too: 54xxx (limits that are built in), 55000 and 55006 (an object in the
wrong state), 58xxx and XX001 (a damaged disk or file), 08003, 08P01 and 25P02 (a bug), and 0A000 elsewhere.

The codes are in appendix A of PostgreSQL's manual. PostgreSQL raises them in src/backend: tcop/postgres.c (55P03 of
lock_timeout, 57P01), access/heap/heapam.c (55P03 of NOWAIT), storage/lmgr/deadlock.c and predicate.c (class 40),
tcop/utility.c (25006), utils/error/elog.c (53000 and 53100, from errno), storage/file/fd.c (53400), storage/lmgr/lock.c
and utils/mmgr (53200), storage/lmgr/proc.c and utils/init/postinit.c (53300); and in contrib/postgres_fdw/connection.c
(08001, 08006).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import psycopg2
from psycopg2 import errorcodes

from cacheaside.errors import Busy, DatabaseError, DatabaseUnavailable, OutcomeUnknown, RefusedForNow

__all__ = ["READ_ONLY", "may_have_committed", "refusal"]

READ_ONLY: Final = errorcodes.READ_ONLY_SQL_TRANSACTION

# The log has the SQLSTATE. The message has no reason, because a caller can only wait.
_REFUSED: Final = "the database cannot do this at the moment"
_CONFLICTED: Final = partial(Busy, "concurrent transactions conflicted with this one at every attempt")
_LOCKED: Final = partial(Busy, "another transaction holds a lock that this one needs")
_FOR_SECONDS: Final = partial(RefusedForNow, _REFUSED)
_FOR_A_MINUTE: Final = partial(RefusedForNow, _REFUSED, 60)
_UNKNOWN: Final = partial(OutcomeUnknown, "a COMMIT on another server may have been carried out")

_REFUSALS: Final[Mapping[str, Callable[[], DatabaseError]]] = {
    errorcodes.TRANSACTION_ROLLBACK: _CONFLICTED,
    errorcodes.SERIALIZATION_FAILURE: _CONFLICTED,
    errorcodes.DEADLOCK_DETECTED: _CONFLICTED,
    errorcodes.SNAPSHOT_TOO_OLD: _CONFLICTED,  # up to PostgreSQL 16; the next attempt has a new snapshot
    errorcodes.LOCK_NOT_AVAILABLE: _LOCKED,  # lock_timeout, or NOWAIT
    # A failover is under way, or an operator or RDS has set default_transaction_read_only.
    READ_ONLY: _FOR_SECONDS,
    errorcodes.INSUFFICIENT_RESOURCES: _FOR_SECONDS,  # too many open files
    errorcodes.OUT_OF_MEMORY: _FOR_SECONDS,  # of a process, or of the shared memory for locks
    errorcodes.TOO_MANY_CONNECTIONS: _FOR_SECONDS,
    # RDS enlarges the disk, or an operator helps. A repetition each few seconds would fill it again each time.
    errorcodes.DISK_FULL: _FOR_A_MINUTE,
    errorcodes.CONFIGURATION_LIMIT_EXCEEDED: _FOR_A_MINUTE,  # temp_file_limit
    # PostgreSQL stops, starts, or is restored. These reach a session only through a proxy.
    errorcodes.OPERATOR_INTERVENTION: _FOR_SECONDS,
    errorcodes.ADMIN_SHUTDOWN: _FOR_SECONDS,
    errorcodes.CRASH_SHUTDOWN: _FOR_SECONDS,
    errorcodes.CANNOT_CONNECT_NOW: _FOR_SECONDS,
    errorcodes.DATABASE_DROPPED: _FOR_SECONDS,
    errorcodes.IDLE_SESSION_TIMEOUT: _FOR_SECONDS,
    # The server of a foreign table does not answer, or a proxy lost the server.
    errorcodes.CONNECTION_EXCEPTION: _FOR_SECONDS,
    errorcodes.SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION: _FOR_SECONDS,
    errorcodes.SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION: _FOR_SECONDS,
    errorcodes.CONNECTION_FAILURE: _FOR_SECONDS,
    errorcodes.TRANSACTION_RESOLUTION_UNKNOWN: _UNKNOWN,
    errorcodes.STATEMENT_COMPLETION_UNKNOWN: _UNKNOWN,
}

_CLASSES_OF_A_LOST_CONNECTION: Final = (errorcodes.CLASS_CONNECTION_EXCEPTION, errorcodes.CLASS_OPERATOR_INTERVENTION)

# A proxy may keep our session while the primary becomes a standby. These functions of PostgreSQL then refuse to begin a
# command. A write in any read-only transaction is refused with the first code too, by another function.
_BY_A_STANDBY: Final = frozenset(
    [
        (READ_ONLY, "PreventCommandDuringRecovery"),
        (errorcodes.FEATURE_NOT_SUPPORTED, "call_enum_check_hook"),  # `begin isolation level serializable`
        (errorcodes.FEATURE_NOT_SUPPORTED, "GetSerializableTransactionSnapshot"),
    ]
)


def may_have_committed(error: DatabaseError) -> bool:
    """Return whether a COMMIT that ended with this error may have been carried out, here or on another server.

    So it is if the connection was lost, to PostgreSQL or from it to the server of a foreign table.
    """
    code = getattr(error.__cause__, "pgcode", None) or ""
    return isinstance(error, DatabaseUnavailable) or code.startswith(_CLASSES_OF_A_LOST_CONNECTION)


def refusal(error: psycopg2.Error) -> DatabaseError | None:
    """Return the error to raise if the reason passes by itself, else None."""
    code = error.pgcode or ""
    if (code, error.diag.source_function) in _BY_A_STANDBY:
        return DatabaseUnavailable("the database cannot be reached")
    found = _REFUSALS.get(code)
    return found() if found else None
