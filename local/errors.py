"""The one exception that reaches the person at the keyboard, as its message and nothing else."""

__all__ = ["LocalError"]


class LocalError(Exception):
    """The stack cannot go on. The message says what is wrong and what to change."""
