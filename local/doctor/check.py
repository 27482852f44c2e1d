"""How a check tells its result."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

__all__ = ["FINE", "UNKNOWN", "WRONG", "Check", "Missing", "NotChecked", "results"]

# A check yields each problem: one line that says what to change. It returns what is fine if there was no problem, or
# None if the deployment does not need the check.
Check = Generator[str, None, str | None]

FINE: Final = "✓"
WRONG: Final = "✗"
UNKNOWN: Final = "?"


class Missing(Exception):
    """AWS does not know the resource that a check asked for: a problem, unless the check handles it."""


class NotChecked(Exception):
    """A check could not be made. The message says why."""


def results(check: Check) -> Iterator[tuple[str, str]]:
    """Yield a mark and a line for each result of `check`, when it is known."""
    is_fine = True
    while True:
        try:
            problem = next(check)
        except StopIteration as end:
            if is_fine and end.value:
                yield FINE, end.value
            return
        except Missing as missing:
            yield WRONG, str(missing)
            return
        except NotChecked as reason:
            yield UNKNOWN, f"not checked: {reason}"
            return
        except (LookupError, ValueError) as error:
            yield UNKNOWN, f"not checked: AWS answered otherwise than expected: {error!r}"
            return
        is_fine = False
        yield WRONG, problem
