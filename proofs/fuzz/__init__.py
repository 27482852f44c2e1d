"""Hostile input: random events, values, files and answers of servers, until a property breaks. See `__main__`."""
