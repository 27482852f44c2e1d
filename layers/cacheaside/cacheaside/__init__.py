"""A cache in front of slow PostgreSQL queries. Imports run upwards in this list, never downwards.

errors, settings, clock, health   the ground
catalogue/       the queries and commands, as their files declare them
reading/         an answer from the cache, or from one load that all callers share
writing/         a command: committed once, and its changes invalidated
invalidation/    the outbox: recorded changes are drained, and cached answers verified
catalogue_check/ what PostgreSQL says about each statement: may it run, and does a query read what its tags say?
http/            outcomes, confirmations, errors and documents as HTTP responses
drivers/         Valkey, PostgreSQL, IAM and the circuit breakers
runtime/         what depends on Lambda: the extension, SnapStart, CloudWatch metrics
"""
