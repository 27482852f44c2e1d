"""Two checks of one promise, no read returns data older than a write that was acknowledged before the read began, a
model of what a fleet costs the database, and a test of the unit tests.

explorer     Model checking: runs the production read path in every interleaving of few readers, writers and lost keys,
             with a crash after any step. Not reached: errors of cache or database, time (the clock stands still and
             nothing expires), several tags, more actors than a scenario has, the drivers. States are compared by hash.
consistency  Fault injection: runs real servers and processes, with their scripts, triggers, drains and failovers.
             Samples interleavings at random, so a run without a violation is evidence and no proof. Not reached:
             failures of PostgreSQL and of the network, several machines, TLS and IAM, answers served stale on error.
simulator    Discrete events: runs the production read path in a fleet of sandboxes on a virtual clock, beside naive
             caching and a lock. Its module lists what it does not model.
mutation     Mutation testing: changes the core in one place at a time, and runs the unit tests that reach this place.
             Not reached: what a class has besides functions, the wording of messages, and the drivers.
"""
