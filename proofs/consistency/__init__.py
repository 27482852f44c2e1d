"""Fault injection: no read that begins after an acknowledged write returns older data, whatever fails.

`proofs.chaos` attacks the whole stack over HTTP. This run calls the library itself, so that many times more operations
conflict.

Runs real servers and real processes. The API reads and writes, SQL writers bypass it, the invalidate function drains.
Meanwhile the cache is killed, frozen, emptied and failed over, its network is slow and loses connections, and processes
are killed at random instants.

`__main__` and tests/component/proofs call `run.check_consistency`. It starts these processes, in a `supervisor`:

    api_processes      readers, which check each answer, and writers     invalidate_processes  drain the outbox
    sql_writers        write to PostgreSQL directly, as psql does        outbox_checker        finds lost changes
    schema_changes     swap the table, replace the view that queries read, detach and attach partitions

All of them use `system` (addresses and settings), `register` (the table and its queries) and `history` (acknowledged
writes and counters, in shared memory). Meanwhile `run` has `fault_injection` kill and freeze processes, and inject the
faults that `cache_faults` defines for the cache, and `cache_network` for the network between it and its clients.
`replicated_valkey` is a primary with a replica. At the end `run` compares cache and database and returns a `report`.
`defects` holds deliberate defects, for tests that the checks find them.
"""

from proofs.consistency.cache_faults import CacheFault
from proofs.consistency.defects import Defect
from proofs.consistency.report import ConsistencyReport
from proofs.consistency.run import check_consistency

__all__ = ["CacheFault", "ConsistencyReport", "Defect", "check_consistency"]
