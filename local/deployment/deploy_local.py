"""`cacheaside deploy-local`: from `sam build` to `sam delete` in an emulator of AWS, with the end-to-end suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from local.containers.engine import EngineMissing
from local.deployment.artifacts import check_artifacts
from local.deployment.lacks import LACKS, REPLACED
from local.deployment.left_over import inventory
from local.deployment.ministack import running_ministack
from local.deployment.stack import Stack
from local.deployment.uploads import uploaded
from local.errors import LocalError
from local.sam_cli import find_sam
from local.terminal import PrintLine

__all__ = ["copy_checkout", "deploy_local", "end_to_end", "go_through"]

_SAMPLE: Final = {"SampleSize": "100"}
_NEW_TABLE: Final = "create table deployed_later (id bigint primary key);\nselect cacheaside.watch('deployed_later');\n"


def deploy_local(root: Path, config_env: str, print_line: PrintLine) -> None:
    """Go through all steps, and print each with its time. Raises `LocalError` at the first that fails."""
    with tempfile.TemporaryDirectory(prefix="cacheaside-deployment-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # containers read the functions as another user
        project = copy_checkout(root, folder / "project")
        steps = Steps(print_line)
        print_line("not as on AWS, because the emulator lacks it:")
        for line in (*map(str, LACKS), *(f"{what}: {why}" for what, why in REPLACED.items())):
            print_line(f"  - {line}")
        with ExitStack() as exits:
            try:
                with steps.timed("emulator and images"):
                    emulator = exits.enter_context(running_ministack(root, folder))
            except EngineMissing as error:
                raise LocalError(str(error)) from None
            go_through(root, Stack(emulator, project, find_sam(root), config_env, _SAMPLE), steps)


def copy_checkout(root: Path, folder: Path) -> Path:
    """Copy what `sam build` reads, so that a build for this CPU replaces none for AWS. Return `folder`."""
    for name in ("functions", "layers"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(root / name, folder)
    return folder


def go_through(root: Path, stack: Stack, steps: Steps) -> None:
    """Create, test, update and delete the stack. Raises `LocalError`."""
    before = inventory(stack.emulator)
    with steps.timed("sam build"):
        stack.build()
    with steps.timed("sam deploy"):
        stack.deploy()
    for line in check_artifacts(stack.project, uploaded(stack.emulator, stack.name)):
        steps.print_line(f"  {line}")
    with steps.timed("end-to-end suite"):
        steps.print_line(f"  {end_to_end(root, stack)}")
    with steps.timed("sam deploy, nothing changed"):
        stack.deploy()
    folder = stack.project / "functions/catalogue/migrations"
    (folder / f"{len(list(folder.glob('*.sql'))) + 1:04}_deployed_later.sql").write_text(_NEW_TABLE)
    with steps.timed("sam build and sam deploy, with another migration"):
        stack.build()
        stack.deploy()
    with steps.timed("end-to-end suite, reads only"):
        steps.print_line(f"  {end_to_end(root, stack, '-m', 'not writes')}")
    with steps.timed("sam delete"):
        stack.delete()
    for each in sorted(inventory(stack.emulator) - before):
        steps.print_line(f"  left over: {each}")


def end_to_end(root: Path, stack: Stack, *options: str) -> str:
    """Return the numbers of tests that passed and were skipped. Raises `LocalError` with the output if one fails."""
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *options, "tests/e2e"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= stack.emulator.environment | {"STACK": stack.name}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"the end-to-end suite failed:\n{done.stdout[-6000:]}{done.stderr}")
    return done.stdout.splitlines()[-1]


class Steps:
    """Prints what is done, and how long it takes."""

    def __init__(self, print_line: PrintLine) -> None:
        self.print_line = print_line

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Print the step and its time when the block ends without an error."""
        began = time.monotonic()
        yield
        self.print_line(f"✓ {step}: {time.monotonic() - began:.0f} s")
