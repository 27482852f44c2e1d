"""Mutation testing: changes the core in one place at a time, and runs the unit tests that reach this place.

`operators` lists the changes, `mutants` finds their places in a file and puts one into the running process, `execution`
runs the tests, and `explained.toml` tells of each mutant that no test can tell apart from the code why that is right.
"""
