"""Work after the response in a Lambda container: the library as a layer, and the emulator's own Extensions API.

Unlike Lambda, the emulator sends the response only when the extension is done. The log has the order of events.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from local.containers import engine
from local.containers.emulator import IMAGE, Emulator
from local.sam_cli import find_sam, host_architecture
from tests.support.root import ROOT

ARCHITECTURE = host_architecture()
TEMPLATE = f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  QueryFunction:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Architectures: [{ARCHITECTURE}]
      Handler: app.handler
      CodeUri: function/
      Timeout: 60
      Layers: [!Ref LibraryLayer]
  LibraryLayer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: layer/
"""
HANDLER = """
import json, os, time

from cacheaside.runtime.after_response import AfterResponse

after_response = AfterResponse.start(os.environ)


def log(step):
    print(json.dumps({"step": step, "at": time.time()}), flush=True)


def refresh():
    log("refresh began")
    time.sleep(1)
    log("refresh ended")


@after_response.wrap
def handler(event, context):
    after_response.submit(lambda: 1 / 0)
    after_response.submit(lambda: log("started too late"), needs_ms=600_000)
    after_response.submit(refresh)
    log("handler returns")
    if event.get("raise"):
        raise ValueError("boom")
    return {"inline": after_response.inline}
"""


@pytest.fixture(scope="module")
def lambdas(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """A scratch function, with the library's folder as its layer."""
    engine.require_image(IMAGE.format(architecture=ARCHITECTURE))
    folder = tmp_path_factory.mktemp("refreshing")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "layers/cacheaside/cacheaside", folder / "layer/python/cacheaside", ignore=ignored)
    (folder / "function").mkdir()
    (folder / "function/app.py").write_text(HANDLER)
    (folder / "template.yaml").write_text(TEMPLATE)
    return Emulator(find_sam(ROOT), ("--template", str(folder / "template.yaml"), "--skip-pull-image"))


@pytest.mark.parametrize("event", [{}, {"raise": True}], ids=["returns", "raises"])
def test_the_task_begins_when_the_handler_has_ended_and_is_not_cut_off(
    lambdas: Emulator, capfd: pytest.CaptureFixture[str], event: dict[str, Any]
) -> None:
    answer = lambdas.invoke("QueryFunction", event)
    log = capfd.readouterr().err
    lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"step"')]
    at = {line["step"]: line["at"] for line in lines}
    assert list(at) == ["handler returns", "refresh began", "refresh ended"], log
    assert at["refresh ended"] - at["handler returns"] >= 1
    assert "ZeroDivisionError" in log
    assert "600000 needed" in log
    assert answer.get("errorMessage") == "boom" if event else answer == {"inline": False}
