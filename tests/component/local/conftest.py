"""Folders that the server's user may enter, a small function, and checks that no process is left running."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.servers.processes import alive, descendants
from local.template import Function
from tests.component.support.checkout import TEMPLATE, Checkout
from tests.support.root import FUNCTIONS, ROOT


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not `tmp_path`: only its owner may enter that, and PostgreSQL, started by root, runs as another user."""
    path = Path(tempfile.mkdtemp(prefix="cacheaside-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def newcomers() -> Callable[[], list[int]]:
    """Finds the processes that this test has started, without those that the session's servers fork meanwhile."""
    here = os.getpid()
    older = set(descendants(here))

    def find() -> list[int]:
        now = descendants(here)
        theirs = older.union(*map(descendants, older))
        return [pid for pid in now if pid not in theirs and alive(pid)]

    return find


@pytest.fixture
def wait_for_end() -> Callable[[list[int]], None]:
    """Waits until the processes have ended. Fails if some still run after two minutes."""

    def wait(pids: list[int]) -> None:
        deadline = time.monotonic() + 120
        while running := [pid for pid in pids if alive(pid)]:
            assert time.monotonic() < deadline, f"still running: {running}"
            time.sleep(0.02)

    return wait


HANDLER = '''
import base64, json, os, subprocess, sys, threading, time

import library

print("imported")
served = 0


def handler(event, context):
    """Does what the path says."""
    global served
    served += 1
    print("to the log", flush=True)
    sys.__stdout__.write("straight to the log\\n")
    os.write(1, b"even straighter\\n")
    match event.get("do", event.get("rawPath", "")).split("/")[1:]:
        case ["sleep", seconds]:
            time.sleep(float(seconds))
        case ["await", *path]:
            go = "/" + "/".join(path)
            open(f"{go}.{os.getpid()}", "w").close()
            while not os.path.exists(go):
                time.sleep(0.01)
        case ["exit", status]:
            os._exit(int(status))
        case ["raise", text]:
            raise ValueError(text)
        case ["leave"]:
            sys.exit(7)
        case ["repeat", text, times]:
            return text * int(times)
        case ["length"]:
            return len(event["text"])
        case ["unserializable"]:
            return {1, 2}
        case ["malformed"]:
            return {"statusCode": "often"}
        case ["child"]:
            return subprocess.Popen(["sleep", "600"]).pid
        case ["context"]:
            return {name: getattr(context, name) for name in context.__dataclass_fields__} | {
                "remaining": context.get_remaining_time_in_millis(),
            }
        case ["environ"]:
            return dict(os.environ)
        case ["path"]:
            return sys.path
        case ["empty"]:
            return {"statusCode": 204}
        case ["cached"]:
            return {"statusCode": 304, "headers": {"ETag": '"a"', "Cache-Status": "cacheaside; hit"}}
        case ["queries"]:
            needed = {"type": "integer", "required": True, "example": 3}
            parameters = {"id": needed, "limit": {"type": "integer", "default": 10}}
            return {"data": [{"name": "slow", "parameters": {}}, {"name": "one", "parameters": parameters}]}
        case ["queries", name]:
            if name == "one" and event.get("queryStringParameters") != {"id": "3"}:
                return {"statusCode": 400}
            status = "hit; ttl=60" if event["rawPath"] in library.SEEN else "fwd=miss; stored; ttl=60"
            if os.environ.get("FORGETFUL") != "1":
                library.SEEN.add(event["rawPath"])
            headers = {"Cache-Status": f"cacheaside; {status}", "Content-Type": "application/json"}
            return {"statusCode": 200, "headers": headers, "body": json.dumps({"data": name})}
    return {"pid": os.getpid(), "served": served, "event": event}
'''


@pytest.fixture
def function(tmp_path: Path) -> Function:
    """A function with a layer. The path of a request tells its handler what to do."""
    code, layer = tmp_path / "functions", tmp_path / "layer"
    (code / "told").mkdir(parents=True)
    (code / "told" / "__init__.py").touch()
    (code / "told" / "app.py").write_text(HANDLER)
    layer.mkdir()
    (layer / "library.py").write_text("SEEN = set()\n")
    return Function(
        "ToldFunction", "told.app.handler", (code, layer), timeout=30, memory=256, environment={"A": "1", "B": "1"}
    )


@pytest.fixture
def checkout(folder: Path, function: Function, tmp_path: Path) -> Checkout:
    """This project's `local`, library and `migrate`, with the function and the template of these tests."""
    for path in ("local", "layers/cacheaside"):
        shutil.copytree(ROOT / path, folder / path, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("migrate", "catalogue/migrations", "catalogue/sample"):
        shutil.copytree(FUNCTIONS / path, folder / "functions" / path)
    shutil.copytree(tmp_path / "functions/told", folder / "functions/told")
    shutil.copytree(tmp_path / "layer", folder / "layer")
    (folder / "template.yaml").write_text(TEMPLATE)
    return Checkout(folder)
