"""Asks before a change."""

from __future__ import annotations

import sys

import click

__all__ = ["require_consent"]


def require_consent(question: str) -> None:
    """Ask `question` at the terminal. Raises `click.Abort` if the answer is no, or nobody can be asked."""
    if not sys.stdin.isatty():
        click.echo("Nothing was changed: the standard input is not a terminal. Give --yes.", err=True)
        raise click.Abort
    click.confirm(question, abort=True)
