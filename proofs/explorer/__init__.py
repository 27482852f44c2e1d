"""Runs the production read path through every interleaving of a few readers, writers and accidents."""
