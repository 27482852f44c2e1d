"""Which statements to cache: those with which a cache saves most of the database's time."""
