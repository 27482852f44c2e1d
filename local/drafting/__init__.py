"""Writes files of the catalogue: a statement from SQL, and the corrections that the check asks for."""
