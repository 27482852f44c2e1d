"""`python -m bench.cold_start [ROUNDS]`: the import of the query function, beside that of redis and psycopg2 alone.

Each import runs in a fresh process of the functions' Python, or of this one where that is not installed. Layers and
functions come from their makefiles, and nothing is written into them, as in Lambda. Ours is imported as it is built.
The other one is a copy of the wheels with bytecode. Figures are the CPU time of whole processes: Lambda bills the start
of the interpreter too.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.figures import Figure, Results, run
from bench.measuring import spread, spread_of_ratios
from bench.query_stack import QueryStack
from bench.servers import ROOT
from local.progress import Progress

__all__ = ["ROUNDS", "measure"]

ROUNDS: Final = 20
_RUNTIME: Final = "3.13"  # as in layers/dependencies/Makefile
_AIM: Final = 1.25
_OURS, _FLOOR, _EMPTY = "import query.app", "import redis, psycopg2", "nothing"


def measure(stack: QueryStack, size: int) -> Results:
    """Start `size` processes for each import, in turn."""
    python, version = _functions_python()
    with tempfile.TemporaryDirectory(prefix="cacheaside-") as name:
        built, floor = _build(Path(name), stack.functions, version), Path(name) / "floor"
        shutil.copytree(built / "dependencies" / "python", floor)
        subprocess.run([python, "-m", "compileall", "-q", floor], check=True)
        ours = [built / "functions", built / "dependencies" / "python", built / "cacheaside" / "python"]
        imports = {_OURS: (_OURS, ours), _FLOOR: (_FLOOR, [floor]), _EMPTY: ("", [])}
        cpu_ms: dict[str, list[float]] = {name: [] for name in imports}
        progress = Progress(f"cold starts, Python {version}")
        for number in range(size + 1):  # the first round only fills the page cache
            for name in random.sample(list(imports), len(imports)):
                code, paths = imports[name]
                cpu_ms[name].append(_cpu_ms(python, code, paths, stack.environment))
            progress(number, size)
    cpu_ms = {name: values[1:] for name, values in cpu_ms.items()}
    ratio = spread_of_ratios(cpu_ms[_OURS], cpu_ms[_FLOOR])
    figure = Figure.of("cold start, CPU ÷ that of redis and psycopg2", f"Python {version}", "×", ratio, _AIM)
    rows = [(f"{name}, Python {version}", f"{spread(values).median:,.0f} ms") for name, values in cpu_ms.items()]
    return Results([figure], ("process that runs", "CPU"), rows)


def _functions_python() -> tuple[str, str]:
    """Return the interpreter to use and its version: that of the functions, or this one."""
    found = shutil.which(f"python{_RUNTIME}")
    if found:
        # It may be a script of a version manager, which would be measured too. Or a script that starts an interpreter
        # with a loader of its own, as in CI, and is needed.
        executable = _output(found, "import sys; print(sys.executable)")
        if executable is not None:
            return (found if _output(executable, "") is None else executable), _RUNTIME
    return sys.executable, "{}.{}".format(*sys.version_info)


def _output(python: str, code: str) -> str | None:
    """Return what `code` prints, None if it fails."""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _build(folder: Path, functions: Path, version: str) -> Path:
    """Build both layers for this machine's CPU, and the functions, as `sam build` does."""
    machine = {"x86_64": "x86_64", "AMD64": "x86_64"}.get(platform.machine(), "arm64")
    sources = folder / "sources"  # sam builds a copy too
    shutil.copytree(ROOT / "layers", sources / "layers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(functions, sources / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    for source, target, makefile in (
        ("layers/dependencies", "build-DependenciesLayer", f"{machine}/Makefile"),
        ("layers/cacheaside", "build-CacheasideLayer", "Makefile"),
        ("functions", "build-QueryFunction", "Makefile"),
    ):
        built = folder / Path(source).name
        built.mkdir()
        variables = [f"ARTIFACTS_DIR={built}", f"RUNTIME={version}", f"PYTHON={sys.executable}"]
        # The makefiles must not see the variables of `make bench`.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        subprocess.run(
            ["make", "--silent", "-f", makefile, target, *variables],
            cwd=sources / source,
            env=environment,
            check=True,
        )
    return folder


def _cpu_ms(python: str, code: str, paths: list[Path], environment: Mapping[str, str]) -> float:
    """Return the CPU time of a process that runs `code` and ends."""
    variables = {**environment, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen([python, "-c", code], env=variables, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{code!r} has failed"
    return (usage.ru_utime + usage.ru_stime) * 1000


if __name__ == "__main__":
    run(measure, ROUNDS)
