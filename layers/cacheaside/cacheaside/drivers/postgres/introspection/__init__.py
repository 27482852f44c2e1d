"""The facts that `tag_check` compares with the tags, asked of PostgreSQL's catalog and of its plans."""
