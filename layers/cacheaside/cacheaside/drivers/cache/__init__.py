"""The drivers of Valkey and Redis, on one node or in a cluster, with a deadline for each call."""
