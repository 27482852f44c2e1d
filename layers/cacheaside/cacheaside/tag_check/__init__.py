"""Compares the tags of every query with the tables that it reads, as the database reports them."""
