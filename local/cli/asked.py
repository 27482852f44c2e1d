"""Arguments that several commands have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from local.errors import LocalError

__all__ = ["as_json", "complete_query", "of_stack", "usage_errors"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script.")
of_stack = click.option("--stack", metavar="NAME", help="A deployed stack, instead of the one on this machine.")


def complete_query(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the queries whose name begins with `incomplete`, for the shell's completion."""
    from local.catalogue_folder import catalogue_folder

    return sorted(path.stem for path in catalogue_folder().glob(f"queries/{incomplete}*.sql"))


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
