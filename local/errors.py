"""The exception whose message is printed without a traceback."""

__all__ = ["LocalError"]


class LocalError(Exception):
    """The command cannot continue. The message says what is wrong and what to change."""
