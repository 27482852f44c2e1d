"""The application in Lambda containers: `sam build` and `sam local`, told where the servers of this machine are."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.containers import engine
from local.containers.forward import forwarded
from local.deployment.response_url import receiving
from local.environment import function_environment
from local.errors import LocalError
from local.servers.processes import HOST
from local.stack import Stack

__all__ = ["ROOT", "Emulator", "address", "emulator", "function_of"]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers")
# Not .aws-sam/build: that is what `sam deploy` takes, and it may be for the other CPU.
BUILD = ROOT / ".aws-sam" / "local"
FUNCTIONS = {
    "query": "QueryFunction",
    "command": "CommandFunction",
    "invalidate": "InvalidateFunction",
    "migrate": "MigrateFunction",
}
# Containers run on this machine's CPU, whatever the deployment is built for.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
GRACE = 6.0  # sam gives a container three seconds
IMAGE = "public.ecr.aws/lambda/python:3.13-{architecture}"


@dataclass(frozen=True)
class Emulator:
    """A built application, and what `sam local` must be told to run it."""

    program: Path
    options: tuple[str, ...]

    def invoke(self, event: Path) -> Any:
        """What the function returns in a container of its own; its log goes to stderr.

        A custom resource returns nothing: it answers CloudFormation, whose part is played here, and that answer is
        returned instead. Raises `LocalError` if sam fails, which an exception in the function does not make it.
        """
        content = json.loads(event.read_text(encoding="utf-8"))
        if "ResponseURL" not in content:
            return self._invoke(function_of(event), content)
        with receiving() as (port, answers), forwarded(engine.gateway(), [(HOST, port)]):
            returned = self._invoke(function_of(event), {**content, "ResponseURL": f"http://{engine.HOST}:{port}/"})
        return answers[-1] if answers else returned

    def serve(self, port: int) -> int:
        """All routes, until Ctrl-C. Returns sam's exit status."""
        process = self._start("start-api", "--port", str(port), "--warm-containers", "LAZY")
        _finished(process)
        return process.returncode

    def _invoke(self, function: str, event: Any) -> Any:
        process = self._start("invoke", function, "--event", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        answer = _finished(process, json.dumps(event))
        if process.returncode != 0:
            raise LocalError(f"sam local invoke ended with status {process.returncode}; the reason stands above")
        return json.loads(answer or "null")

    def _start(self, *arguments: str, stdin: int | None = None, stdout: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), "local", *arguments, *self.options],
            cwd=ROOT,
            env=_environment(self.program),
            stdin=stdin,
            stdout=stdout,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, once
        )


@contextmanager
def emulator(stack: Stack) -> Iterator[Emulator]:
    """Have the image, build what has changed, let containers reach the stack. Raises LocalError or EngineMissing."""
    architecture = ARCHITECTURES.get(platform.machine().lower())
    if architecture is None:
        raise LocalError(f"Lambda does not run on the CPU of this machine, {platform.machine()}")
    found = shutil.which("sam", path=_path(ROOT / ".venv-sam" / "bin"))
    if found is None:
        raise LocalError("the SAM CLI is not installed: run `make .venv-sam`")
    program = Path(found)
    engine.require_image(IMAGE.format(architecture=architecture))
    parameters = ("--parameter-overrides", f"Architecture={architecture}")
    options = (
        *("--template", str(_built(program, parameters))),
        *("--env-vars", str(_variables(stack))),
        *parameters,
        *("--add-host", f"{engine.HOST}:host-gateway"),
        "--skip-pull-image",
    )
    with forwarded(engine.gateway(), [address(stack.database_url), address(stack.cache_url)]):
        yield Emulator(program, options)


def function_of(event: Path) -> str:
    """The logical id of the function that an event is for, by the first word of the file's name."""
    function = FUNCTIONS.get(event.name.partition("_")[0])
    if function is None:
        words = ", ".join(f"{word}_" for word in FUNCTIONS)
        raise LocalError(f"{event.name} does not say for which function it is: begin its name with {words}")
    return function


def address(url: str) -> tuple[str, int]:
    """Host and port of the server that `url` names."""
    parts = urlsplit(url)
    return parts.hostname or HOST, parts.port or (6379 if parts.scheme.startswith("redis") else 5432)


def _built(program: Path, parameters: tuple[str, str]) -> Path:
    template = BUILD / "build" / "template.yaml"
    # sam itself takes two seconds to find out that nothing has changed.
    if template.exists() and template.stat().st_mtime > max(map(_changed, SOURCES)):
        return template
    print("sam build …", file=sys.stderr)
    command = [str(program), "build", "--cached", *parameters]
    command += ["--build-dir", str(template.parent), "--cache-dir", str(BUILD / "cache")]
    done = subprocess.run(command, cwd=ROOT, env=_environment(program), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"sam build failed:\n{done.stderr}")
    return template


def _changed(source: str) -> float:
    path = ROOT / source
    return max(entry.stat().st_mtime for entry in (path, *path.rglob("*")))


def _variables(stack: Stack) -> Path:
    variables = function_environment(stack.database_url, stack.cache_url, stack.embedded, host=engine.HOST)
    path = stack.log.with_name("sam-environment.json")
    path.touch(mode=0o600)  # a URL may hold a password
    path.write_text(json.dumps(variables, indent=2))
    return path


def _environment(program: Path) -> dict[str, str]:
    """The layers' makefiles want a python3 with pip, sam's own. No wait for a metadata service that is not there."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**ours, "PATH": _path(program.parent), "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}


def _path(first: Path) -> str:
    return f"{first}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _finished(process: subprocess.Popen[str], text: str | None = None) -> str:
    """What the process wrote to its pipe. On Ctrl-C it is told so once, and given the time to remove its containers."""
    try:
        return process.communicate(text)[0]
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            # Without containers, `sam local invoke` still sits out the time that the function would have had.
            process.kill()
            process.wait()
        raise
