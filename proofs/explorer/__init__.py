"""Model checking: runs the production read path through every interleaving of a few readers, writers and lost keys.

`__main__` and tests/unit/proofs call `search.explore` for each of `scenarios`. The search asks `actors` for
their next transitions. A read actor runs `cacheaside.reading.read_path.read`, and `model.SharedState` does its steps.
"""
