"""Benchmarks. `python -m bench.NAME` prints a table of docs/benchmarks.md or docs/costs.md. Those with servers start them by `servers`."""
