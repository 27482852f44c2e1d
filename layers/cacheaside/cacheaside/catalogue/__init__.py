"""The catalogue: queries and commands as their .sql files declare them, with parameters, policy and tags."""
