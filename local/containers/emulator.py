"""Runs the application in Lambda containers with `sam build` and `sam local`, on the servers of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local import ROOT
from local.containers import engine
from local.containers.forward import forwarded
from local.containers.response_url import response_server
from local.environment import function_environment
from local.errors import LocalError
from local.sam_cli import find_sam, host_architecture
from local.servers.processes import HOST
from local.stack import Stack

__all__ = ["Emulator", "built", "function_of", "running_emulator", "server_address"]

Json = dict[str, Any]

SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers")
# Not .aws-sam/build: `sam deploy` uploads that, and it may be built for the other CPU.
BUILD = ".aws-sam/local"
FUNCTIONS = {
    "query": "QueryFunction",
    "command": "CommandFunction",
    "invalidate": "InvalidateFunction",
    "migrate": "MigrateFunction",
}
GRACE_S = 6.0  # sam gives a container three seconds
IMAGE = "public.ecr.aws/lambda/python:3.13-{architecture}"


@dataclass(frozen=True)
class Emulator:
    """A built application, and the options with which `sam local` runs it."""

    program: Path
    options: tuple[str, ...]

    def invoke_file(self, path: Path) -> Any:
        """Invoke the function that the name of a file of events/ names. See `invoke`."""
        return self.invoke(function_of(path), json.loads(path.read_text(encoding="utf-8")))

    def invoke(self, function: str, event: Json) -> Any:
        """Run the function in a new container, and return its answer. Its log goes to stderr.

        For a custom resource, return instead the response that it sends to CloudFormation. Raises `LocalError` if
        sam fails. An exception in the function is an answer, and no failure of sam.
        """
        if "ResponseURL" not in event:
            return self._invoke(function, event)
        with response_server() as (port, responses), forwarded(engine.host_address(), [(HOST, port)]):
            url = f"http://{engine.HOST_NAME}:{port}/"
            answer = self._invoke(function, {**event, "ResponseURL": url})
        return responses[-1] if responses else answer

    def serve(self, port: int) -> int:
        """Serve all routes until Ctrl-C. Return sam's exit status."""
        process = self._start("start-api", "--port", str(port), "--warm-containers", "LAZY")
        _wait(process)
        return process.returncode

    def _invoke(self, function: str, event: Any) -> Any:
        process = self._start("invoke", function, "--event", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        answer = _wait(process, json.dumps(event))
        if process.returncode != 0:
            raise LocalError(f"sam local invoke ended with status {process.returncode}; its output above says why")
        return json.loads(answer or "null")

    def _start(self, *arguments: str, stdin: int | None = None, stdout: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), "local", *arguments, *self.options],
            cwd=ROOT,
            env=_sam_environment(self.program),
            stdin=stdin,
            stdout=stdout,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal reaches only this process, which passes it on once
        )


@contextmanager
def running_emulator(stack: Stack, root: Path = ROOT) -> Iterator[Emulator]:
    """Get the image, build the checkout `root` if it has changed, and let containers reach the stack within the block.

    Raises `LocalError` or `EngineMissing`.
    """
    architecture, program = host_architecture(), find_sam(ROOT)  # of this CPU, and not that of the deployment
    engine.require_image(IMAGE.format(architecture=architecture))
    options = (
        *("--template", str(built(root, program, architecture))),
        *("--env-vars", str(_variables(stack))),
        *_parameters(architecture),
        *("--add-host", f"{engine.HOST_NAME}:host-gateway"),
        "--skip-pull-image",
    )
    with forwarded(engine.host_address(), map(server_address, (stack.database_url, stack.cache_url))):
        yield Emulator(program, options)


def function_of(event: Path) -> str:
    """Return the logical id of the event's function: the first word of the file's name. Raises `LocalError`."""
    function = FUNCTIONS.get(event.name.partition("_")[0])
    if function is None:
        words = ", ".join(f"{word}_" for word in FUNCTIONS)
        raise LocalError(f"{event.name} names no function: begin the file's name with {words}")
    return function


def server_address(url: str) -> tuple[str, int]:
    """Return the host and the port in `url`."""
    parts = urlsplit(url)
    return parts.hostname or HOST, parts.port or (6379 if parts.scheme.startswith("redis") else 5432)


def built(root: Path, program: Path, architecture: str) -> Path:
    """Build the checkout `root` if it has changed, and return the template of the build. Raises `LocalError`."""
    template = root / BUILD / "build" / "template.yaml"
    # `sam build` needs two seconds to find that nothing has changed.
    if template.exists() and template.stat().st_mtime > max(_changed(root / source) for source in SOURCES):
        return template
    print("sam build …", file=sys.stderr)
    command = [str(program), "build", "--cached", *_parameters(architecture)]
    command += ["--build-dir", str(template.parent), "--cache-dir", str(root / BUILD / "cache")]
    done = subprocess.run(command, cwd=root, env=_sam_environment(program), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"sam build failed:\n{done.stderr}")
    return template


def _parameters(architecture: str) -> tuple[str, str]:
    return "--parameter-overrides", f"Architecture={architecture}"


def _changed(path: Path) -> float:
    return max(entry.stat().st_mtime for entry in (path, *path.rglob("*")))


def _variables(stack: Stack) -> Path:
    variables = function_environment(stack.database_url, stack.cache_url, stack.embedded, host=engine.HOST_NAME)
    path = stack.log.with_name("sam-environment.json")
    path.touch(mode=0o600)  # a URL may hold a password
    path.write_text(json.dumps(variables, indent=2))
    return path


def _sam_environment(program: Path) -> dict[str, str]:
    """The layers' makefiles need a python3 with pip: sam's own. No metadata service of EC2 answers here."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**inherited, "PATH": path, "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}


def _wait(process: subprocess.Popen[str], text: str | None = None) -> str:
    """Return the output. Ctrl-C is passed on once, and sam gets time to remove its containers."""
    try:
        return process.communicate(text)[0]
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            # Even without containers, `sam local invoke` waits until the function's timeout is over.
            process.kill()
            process.wait()
        raise
