"""What talks to servers: the cache, the database, and the signer of their passwords."""
