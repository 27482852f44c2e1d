"""From a clone to an API on somebody's own database, and back: `init`, `migrate` and `remove`."""
