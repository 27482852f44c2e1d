"""`python -m local.sam invoke EVENT` and `python -m local.sam api`: the real SAM CLI, against servers of this machine.

Uses those of a running `make run`, else starts the same ones for as long as the command takes; what the cache held is
kept on disk in between, so that a second `invoke` finds what the first one stored.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local import engine
from local.environment import function_environment
from local.errors import LocalError
from local.forward import forwarded
from local.stack import Stack, up

__all__ = ["ROOT", "Sam", "function_of", "sam"]

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = {
    "query": "QueryFunction",
    "command": "CommandFunction",
    "invalidate": "InvalidateFunction",
    "migrate": "MigrateFunction",
}
# Containers run on this machine's CPU, whatever the deployment is built for.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
IMAGE = "public.ecr.aws/lambda/python:3.13-{architecture}"


@dataclass(frozen=True)
class Sam:
    """A built application, and what `sam local` must be told to run it."""

    program: Path
    template: Path
    options: tuple[str, ...]

    def command(self, *arguments: str) -> list[str]:
        """The command line of `sam local ARGUMENTS`."""
        return [str(self.program), "local", *arguments, "--template", str(self.template), *self.options]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.sam", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("invoke", help="run one event in a Lambda container").add_argument(
        "event", nargs="?", help="a file of events/"
    )
    commands.add_parser("api", help="serve all routes from Lambda containers")
    arguments = parser.parse_args()
    try:
        if arguments.command == "invoke":
            return invoke(arguments.event)
        return api(os.environ.get("PORT") or "3000")
    except KeyboardInterrupt:
        return 130
    except (LocalError, engine.EngineMissing) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


def invoke(event: str | None) -> int:
    if not event or not (path := Path(event)).is_file():
        raise LocalError(f"{event or 'EVENT'} is no file: EVENT=events/query_version.json names one of events/")
    function = function_of(path)
    with _servers() as stack, sam(stack) as application:
        command = application.command("invoke", function, "--event", str(path.resolve()))
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def api(port: str) -> int:
    with _servers() as stack, sam(stack) as application:
        command = application.command("start-api", "--port", port, "--warm-containers", "LAZY")
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def function_of(event: Path) -> str:
    """The logical id of the function that an event is for, by the first word of the file's name."""
    function = FUNCTIONS.get(event.name.partition("_")[0])
    if function is None:
        raise LocalError(f"{event.name} does not say for which function it is: begin its name with {_words()}")
    return function


@contextmanager
def sam(stack: Stack) -> Iterator[Sam]:
    """Build what has changed, and make the stack reachable from containers. Raises LocalError or EngineMissing."""
    engine.require()
    architecture = ARCHITECTURES[platform.machine().lower()]
    engine.require_image(IMAGE.format(architecture=architecture))
    program = Path(os.environ.get("SAM") or ROOT / ".venv-sam" / "bin" / "sam")
    template = _build(program, architecture)
    with forwarded(engine.gateway(), [_address(stack.database_url, 5432), _address(stack.cache_url, 6379)]):
        options = (
            *("--env-vars", str(_environment(stack))),
            *("--parameter-overrides", f"Architecture={architecture}"),
            *("--add-host", f"{engine.HOST}:host-gateway"),
            "--skip-pull-image",
        )
        yield Sam(program, template, options)


def _build(program: Path, architecture: str) -> Path:
    # Not in .aws-sam/build: that is what `sam deploy` takes, and it may be for the other CPU.
    folder = ROOT / ".aws-sam" / "local"
    command = [str(program), "build", "--cached", "--build-dir", str(folder)]
    command += ["--parameter-overrides", f"Architecture={architecture}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"sam build failed:\n{done.stderr}")
    return folder / "template.yaml"


def _environment(stack: Stack) -> Path:
    variables = function_environment(stack.database_url, stack.cache_url, stack.embedded, host=engine.HOST)
    path = stack.log.with_name("sam-environment.json")
    path.touch(mode=0o600)  # a URL may hold a password
    path.write_text(json.dumps(variables, indent=2))
    return path


@contextmanager
def _servers() -> Iterator[Stack]:
    """The stack that is up, else one that is started meanwhile."""
    folder = ROOT / ".local"
    running = folder / "endpoints.env"
    if running.exists():
        endpoints = dict(part.split("=", 1) for part in shlex.split(running.read_text()))
        # The embedded server is there exactly if the stack was not given another database.
        embedded = (folder / "postgres" / "data" / "postmaster.pid").exists()
        yield Stack(endpoints["DATABASE_URL"], endpoints["CACHE_URL"], embedded, folder / "log")
        return
    with up(folder, lambda text: print(text, file=sys.stderr)) as stack:
        yield stack


def _address(url: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or default_port


def _words() -> str:
    return ", ".join(f"{word}_" for word in FUNCTIONS)


if __name__ == "__main__":
    sys.exit(main())
