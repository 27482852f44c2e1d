"""Server processes on this machine: PostgreSQL, Valkey, and a Valkey cluster. Tests also kill and freeze them."""
