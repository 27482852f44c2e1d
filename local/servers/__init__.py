"""Server processes on this machine: PostgreSQL, Valkey, and a Valkey cluster. Started, stopped, and hurt by tests."""
