"""Checks of what is promised, first of all that no read returns data older than a write that was acknowledged before
the read began, and a model of what a fleet costs the database.

explorer     Model checking: runs the production read path in every interleaving of few readers, writers and lost keys,
             with a crash after any step. Not reached: errors of cache or database, time (the clock stands still and
             nothing expires), several tags, more actors than a scenario has, the drivers. States are compared by hash.
consistency  Fault injection: runs real servers and processes, with their scripts, triggers, drains and failovers.
             Samples interleavings at random, so a run without a violation is evidence and no proof. Not reached:
             failures of PostgreSQL and of the network, several machines, TLS and IAM, answers served stale on error.
             It drives the library, many times denser than `chaos`, so it meets rarer interleavings.
chaos        Fault campaign: the whole stack with clients over HTTP, and faults of every part. Judges answers, writes,
             failures, latency and recovery. docs/reliability.md has the results, and what is not tried.
simulator    Discrete events: runs the production read path in a fleet of sandboxes on a virtual clock, beside naive
             caching and a lock. Its module lists what it does not model.
fuzz         Hostile input: drives parsers, drivers and handlers with values at random. docs/hostile-input.md lists
             the targets.
soak         An hour of mixed load on the whole stack. Nothing may grow. docs/reliability.md has the results.
supply_chain Checks of others' work: advisories, licences, the bill of materials, secrets in the history.
mutation     Mutation testing: mutmut changes the core in one place at a time, and runs the unit tests that reach this
             place. Not reached: properties, constants of a module, the wording of messages, and the drivers.
"""
