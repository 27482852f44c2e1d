"""The group of all commands, and what their errors look like."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from io import StringIO, TextIOWrapper
from typing import Final

import click

from local.errors import sentence
from local.signals import Shutdown
from local.terminal import printable

__all__ = ["FAILED", "PROBLEMS", "main"]

PROBLEMS: Final = 1
_USAGE: Final = 2
FAILED: Final = 3
_INTERRUPTED: Final = 130

# In the order of the help, each with the module of this package that has it.
_SECTIONS: Final = {
    "Run": {"run": "stack", "demo": "stack"},
    "Your own database": {"init": "init", "migrate": "migrate", "remove": "remove"},
    "Write queries": {"advise": "advise", "new": "new", "check": "check"},
    "Look": {"explain": "explain", "ls": "cache", "inspect": "cache", "stats": "stats"},
    "Work": {"warm": "warm", "invalidate": "cache", "psql": "clients", "valkey": "clients"},
    "Deploy": {"doctor": "doctor", "deploy-local": "stack"},
}
_MODULES: Final = {name: module for section in _SECTIONS.values() for name, module in section.items()}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = importlib.import_module(f"local.cli.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _MODULES))
        for title, names in _SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), each.get_short_help_str(100)) for name, each in commands if each]
                )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def _cacheaside() -> None:
    """Put a cache in front of slow PostgreSQL queries.

    \b
    A sample on this machine:   cacheaside run
    Your own database:          cacheaside init --database-url postgresql://user@host/name
                                cacheaside advise --write 3
                                cacheaside run

    Each command explains itself with --help. Completion in bash (zsh and fish alike), with .venv/bin on PATH:

    \b
    eval "$(_CACHEASIDE_COMPLETE=bash_source cacheaside)"

    Exit status: 0 done, 1 problems were found, 2 wrong usage, 3 could not be carried out, 130 declined or interrupted.
    """


def main(shutdown: Shutdown, arguments: list[str]) -> int:
    """Run one command, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack letters of ours
    if arguments[:1] not in (["psql"], ["valkey"]) and (wrong := [each for each in arguments if not _is_text(each)]):
        print(f"cacheaside {ascii(arguments[0])[1:-1]}: {wrong[0]!a} is not in UTF-8", file=sys.stderr)
        return _USAGE
    try:
        # What a command returns, or passes to `Context.exit`, is its exit status.
        status = _cacheaside.main(arguments, "cacheaside", "_CACHEASIDE_COMPLETE", standalone_mode=False, obj=shutdown)
        return int(status or 0)
    except (click.Abort, KeyboardInterrupt, BrokenPipeError):  # nothing reads the output any more
        return 0 if arguments[:1] == ["run"] else _INTERRUPTED
    except click.ClickException as error:
        error.show(shown := StringIO())
        click.echo(printable(shown.getvalue(), keep="\n\t"), err=True, nl=False)  # it may repeat an argument
        return _USAGE
    except Exception as error:
        if (problem := sentence(error)) is None:
            raise
    with suppress(OSError):  # a closed terminal; the status still tells
        said = f"cacheaside {' '.join(arguments[:1])}: {problem}"
        print(printable(said, keep="\n\t"), file=sys.stderr, flush=True)
    return FAILED


def _is_text(argument: str) -> bool:
    """Python reads a byte that is not in UTF-8 as a lone surrogate, which cannot be sent to a server."""
    return not any("\ud800" <= each <= "\udfff" for each in argument)
