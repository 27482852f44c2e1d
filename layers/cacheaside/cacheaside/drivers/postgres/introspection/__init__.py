"""Reads the facts that `tag_check` compares with the declared tags from PostgreSQL's catalog and plans."""
