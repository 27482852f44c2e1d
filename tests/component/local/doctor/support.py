"""Deployments to examine, and answers that AWS gives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

from botocore.validate import validate_parameters

from local.doctor.account import Account
from local.doctor.check import Check, results
from local.doctor.deployment import Deployment, Stack
from local.doctor.samconfig import Configuration
from local.template import read_document
from tests.support.root import ROOT

REGION: Final = "eu-central-1"
DEPLOYED: Final = "UPDATE_COMPLETE"


def deployment(
    *, stack: str = "shop", status: str | None = None, before: Mapping[str, str] | None = None, **parameters: str
) -> Deployment:
    """Return a deployment of template.yaml with `parameters`. With `status` there is a stack, made with `before`."""
    configuration = Configuration("default", stack, REGION, None, parameters)
    deployed = Stack(status, before or {}) if status else None
    return Deployment(ROOT, configuration, _template(), REGION, stack=deployed)


@cache
def _template() -> dict[str, Any]:
    return read_document(ROOT / "template.yaml")


def lines(check: Check) -> list[str]:
    """Return the results as they are printed: the mark and the text."""
    return [f"{mark} {text}" for mark, text in results(check)]


def answer(aws: Account, service: str, operation: str, response: dict[str, Any]) -> None:
    """Let AWS answer `operation` with `response`. botocore compares it, and the question, with the service's model."""
    client = aws.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    validate_parameters(response, model.output_shape)
    _set_answer(client, model.name, 200, response)


def refuse(aws: Account, service: str, operation: str, code: str) -> None:
    """Let AWS answer `operation` with the error `code`."""
    client = aws.client(service)
    error = {"Error": {"Code": code, "Message": f"{code} of {operation}"}}
    _set_answer(client, client.meta.method_to_api_mapping[operation], 400, error)


def _set_answer(client: Any, operation: str, status: int, response: dict[str, Any]) -> None:
    answers = vars(client).setdefault("answers", {})
    if operation not in answers:
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"before-call.{service}.{operation}", lambda **_: answers[operation])
    answers[operation] = (SimpleNamespace(status_code=status), response)
