"""Model checking: runs the production read path through every interleaving of a few readers, writers and faults.

`__main__` and tests/unit/proofs call `search.explore` for each of `scenarios`. The search asks `moves` for all that can
happen to each reader next. There, one of the `actors` runs `cacheaside.reading.read_path.read`, and
`model.SharedState` does its steps.
"""
