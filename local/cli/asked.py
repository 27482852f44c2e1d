"""Arguments that several commands have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from local.errors import LocalError

__all__ = ["as_json", "of_stack", "usage_errors"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script.")
of_stack = click.option("--stack", metavar="NAME", help="A deployed stack, instead of the one on this machine.")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Report an unknown query and wrong parameters as wrong usage, in the words of the API."""
    from cacheaside.errors import BadParameters, CatalogueError, UnknownStatement

    try:
        yield
    except CatalogueError as error:
        raise LocalError(str(error)) from None
    except BadParameters as error:
        raise click.UsageError("\n".join(problem.detail for problem in error.problems)) from None
    except (UnknownStatement, ValueError) as error:
        raise click.UsageError(str(error)) from None
