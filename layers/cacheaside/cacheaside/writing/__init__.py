"""The write path: a command is committed once, and its changes are invalidated in the cache."""
