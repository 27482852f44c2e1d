"""Mutation testing: mutmut changes the core in one place at a time, and runs the unit tests that reach this place.

The options of mutmut are in pyproject.toml. `explained.toml` tells why each mutant that survives may do so.
"""
