"""Benchmarks: `python -m bench.NAME` prints a table of docs/benchmarks.md or docs/costs.md. `servers` starts them."""
