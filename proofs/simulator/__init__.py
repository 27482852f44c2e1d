"""Simulation of a fleet: the production read path in thousands of sandboxes, in discrete events on a virtual clock.

`world.World` joins readers, `fleet.Fleet` (Lambda), `store.Store` (the cache) and `database.Database` (PostgreSQL) on
one `events.Loop`. `strategies` are compared: `cacheaside.reading.read_path.read` with the production breakers, and the
generators of others. Three parts use it: `known_results`, `incidents` and `growth`, which sums over `single_key`.

Not modelled: a load that takes longer than others, connections to PostgreSQL and their opening, evictions, replicas,
lost messages, clocks that differ, callers who retry, the drain (a write invalidates its row at once). The limit of a
call to the cache is 200 ms; production has a lower one for queries that load faster.
"""
