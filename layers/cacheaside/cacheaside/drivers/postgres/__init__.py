"""The drivers of PostgreSQL: queries, commands and the outbox, each on one kept connection."""
