"""The promise under fire: no read that begins after an acknowledged write returns older data, whatever fails.

Real servers and real processes. The API reads and writes, jobs write past it, the invalidate function drains, and all
the while the cache is killed, frozen and emptied, or fails over, and processes die at any instant.

    ledger      what has been acknowledged        jobs          writers who are not the API
    register    the table, and its queries        invalidate    the drainers
    api         readers and writers               auditor       what came out of the outbox
    caches      a node, a cluster, a pair         chaos         what goes wrong
    run         all of it, and the end            broken        done wrong, to see that it is found
"""

from proofs.consistency.broken import Broken
from proofs.consistency.caches import Trouble
from proofs.consistency.report import Report
from proofs.consistency.run import consistency

__all__ = ["Broken", "Report", "Trouble", "consistency"]
