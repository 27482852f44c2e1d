"""The OpenAPI document of each kind of stack: valid, with real examples, and only with what an operation can answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.columns import Column, Described
from cacheaside.http.openapi.document import openapi
from cacheaside.http.openapi.problems import problem_example
from cacheaside.http.openapi.responses import Kind
from cacheaside.http.problems import PROBLEMS
from cacheaside.settings import ApiSettings, Authorization
from tests.support.openapi_document import check_document, operations, resolved
from tests.support.root import FUNCTIONS, ROOT

SHOP: Final = Catalogue.load(FUNCTIONS / "catalogue")
TYPES: Final = Catalogue.load(ROOT / "tests" / "conformance" / "catalogue")
OPEN: Final = ApiSettings()
PRICE: Final = Column("price", "numeric", {"type": ["number", "null"]}, 9.99)
SKU: Final = Column("sku", "text", {"type": ["string", "null"]}, "SKU-42")
ROWS: Final = {
    "queries/product": Described((SKU, PRICE), {"products:{id}": "update products set id = id where id = {id}"}),
    "queries/top_products": Described((SKU,)),
    "commands/set_price": Described((PRICE,)),
}


@pytest.fixture
def wrong(tmp_path: Path) -> Catalogue:
    """A catalogue whose only file has an error."""
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "broken.sql").write_text("-- ttl = 1\nselect 1")
    return Catalogue.load(tmp_path)


def statuses(document: Any, operation: str) -> set[str]:
    return set(operations(document)[operation]["responses"])


@pytest.mark.parametrize(
    "api",
    [
        ApiSettings(developer_mode=True),
        ApiSettings(Authorization.IAM, Authorization.JWT, developer_mode=False, region="eu-central-1"),
        ApiSettings(Authorization.JWT, Authorization.IAM, developer_mode=True, region="eu-central-1"),
    ],
)
def test_the_document_is_valid_however_the_stack_is_deployed(
    wrong: Catalogue, tmp_path: Path, api: ApiSettings
) -> None:
    for catalogue in (SHOP, TYPES, wrong, Catalogue.load(tmp_path / "none")):
        for rows in (ROWS, {}):
            document = json.loads(json.dumps(openapi(catalogue, api, rows)))
            assert check_document(document) > 10


def test_a_query_lists_only_what_it_can_answer() -> None:
    document = openapi(SHOP, OPEN, {})
    of_any = {"200", "304", "400", "412", "500", "503", "504"}
    assert statuses(document, "GET /queries/version") == of_any | {"404"}  # it returns one row, and has no parameters
    assert statuses(document, "GET /queries/top_products") == of_any | {"422"}
    assert statuses(document, "HEAD /queries/product") == of_any | {"404", "422"}


def test_the_other_operations_list_only_what_they_can_answer() -> None:
    document = openapi(SHOP, OPEN, {})
    of_body = {"200", "400", "412", "413", "415", "500", "503"}
    assert statuses(document, "POST /commands/set_price") == of_body | {"404", "409", "422", "504"}
    assert statuses(document, "POST /invalidations") == of_body | {"404"}
    for path in ("/", "/queries", "/health", "/openapi.json", "/docs"):
        assert statuses(document, f"GET {path}") == {"200", "304", "412", "500", "503"}


def test_an_answer_names_its_problems() -> None:
    document = openapi(SHOP, OPEN, {})
    response = resolved(document, operations(document)["GET /queries/product"]["responses"]["503"])
    examples = response["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"unavailable", "overloaded", "busy", "refused-for-now", "waited-too-long"}
    assert "Retry-After" in response["headers"]
    assert resolved(document, examples["busy"])["value"]["type"] == "/docs#busy"
    timeout = resolved(document, operations(document)["GET /queries/product"]["responses"]["504"])
    assert "Retry-After" not in timeout["headers"]


def test_every_problem_but_those_of_no_operation_is_one_of_some_operation() -> None:
    """Requests that fit no route or no method are of no operation."""
    assert {problem.slug for problem in PROBLEMS} - {"no-route", "method"} == {
        slug for kind in Kind for slug in kind.slugs
    }
    assert {problem_example(slug).problem.slug for kind in Kind for slug in kind.slugs} <= {
        each.slug for each in PROBLEMS
    }


def test_a_response_to_head_has_no_content() -> None:
    document = openapi(SHOP, ApiSettings(developer_mode=True), ROWS)
    for name, operation in operations(document).items():
        for response in operation["responses"].values():
            if name.startswith("HEAD "):
                assert "content" not in resolved(document, response), name


@pytest.mark.parametrize(
    ("reads", "writes", "of_get", "of_post", "schemes"),
    [
        (Authorization.OPEN, Authorization.OPEN, None, None, set()),
        (Authorization.OPEN, Authorization.IAM, None, [{"iam": []}], {"iam"}),
        (Authorization.IAM, Authorization.JWT, [{"iam": []}], [{"jwt": []}], {"iam", "jwt"}),
    ],
)
def test_authorization_is_as_deployed(
    reads: Authorization, writes: Authorization, of_get: object, of_post: object, schemes: set[str]
) -> None:
    document = openapi(SHOP, ApiSettings(reads, writes, health=reads), {})
    assert set(document["components"].get("securitySchemes", {})) == schemes
    for name, operation in operations(document).items():
        assert operation.get("security") == (of_post if name.startswith("POST") else of_get), name


def test_health_can_be_open_while_reads_are_not() -> None:
    document = openapi(SHOP, ApiSettings(Authorization.IAM, Authorization.IAM), {})
    assert "security" not in operations(document)["GET /health"]
    assert "403" not in statuses(document, "HEAD /health")
    assert "403" in statuses(document, "GET /queries")


def test_answers_of_the_gateway_are_listed_only_where_it_gives_them() -> None:
    on_aws = openapi(SHOP, ApiSettings(Authorization.IAM, Authorization.JWT, region="eu-central-1"), {})
    assert statuses(on_aws, "GET /queries/product") >= {"403", "429"}
    assert "401" not in statuses(on_aws, "GET /queries/product")
    assert statuses(on_aws, "POST /commands/set_price") >= {"401", "403", "429"}
    response = resolved(on_aws, operations(on_aws)["GET /queries/product"]["responses"]["403"])
    assert response["content"]["application/json"]["example"] == {"message": "Forbidden"}


def test_rows_are_typed_and_shared_as_the_deployment_described_them() -> None:
    document = openapi(SHOP, OPEN, ROWS)
    product = operations(document)["GET /queries/product"]["responses"]["200"]["content"]["application/json"]
    assert product["schema"]["properties"]["data"] == {"$ref": "#/components/schemas/product_row"}
    assert product["example"] == {"data": {"sku": "SKU-42", "price": 9.99}}
    row = document["components"]["schemas"]["product_row"]
    assert (row["required"], row["properties"]["price"]) == (["sku", "price"], {"type": ["number", "null"]})
    written = operations(document)["POST /commands/set_price"]["responses"]["200"]["content"]["application/json"]
    assert written["example"] == {"data": {"price": 9.99}, "invalidation": "done"}


def test_rows_that_are_not_described_are_objects() -> None:
    document = openapi(SHOP, OPEN, {})
    answer = operations(document)["GET /queries/product"]["responses"]["200"]["content"]["application/json"]
    assert "example" not in answer
    assert document["components"]["schemas"]["product_row"] == {"type": "object"}


def test_sql_and_touches_are_for_developers_only() -> None:
    for developer in (True, False):
        document = openapi(SHOP, ApiSettings(developer_mode=developer), ROWS)
        about = operations(document)["GET /queries/product"]["x-cacheaside"]
        assert about["columns"] == [{"name": "sku", "type": "text"}, {"name": "price", "type": "numeric"}]
        assert ("sql" in about) is ("touches" in about) is developer
        assert ("/queries/product/direct" in document["paths"]) is developer
        assert ("select" in json.dumps(document)) is developer


def test_a_catalogue_error_is_told(wrong: Catalogue) -> None:
    about = openapi(wrong, ApiSettings(region="eu-central-1"), {})["x-cacheaside"]
    assert about["region"] == "eu-central-1"
    assert [error["place"] for error in about["errors"]] == ["queries/broken.sql:1"]
    assert {key: about["problems"][9][key] for key in ("slug", "status")} == {"slug": "no-row", "status": 404}


MINE: Final = """\
-- summary = "Mine"
-- ttl = "1m"
-- tags = []
-- params.user = { type = "text", source = "claim:sub", example = "ada" }
-- params.limit = { type = "integer", default = 3 }
select %(user)s, %(limit)s
"""


@pytest.mark.parametrize("api", [OPEN, ApiSettings(Authorization.JWT, Authorization.JWT)])
def test_a_claim_is_no_parameter_of_a_request_but_a_reason_for_a_token(tmp_path: Path, api: ApiSettings) -> None:
    for folder, text in (("queries", MINE), ("commands", MINE.replace('-- ttl = "1m"\n-- tags = []\n', ""))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.sql").write_text(text)
    api = api._replace(developer_mode=True)
    document = json.loads(json.dumps(openapi(Catalogue.load(tmp_path), api, {})))
    check_document(document)
    found = operations(document)
    for name in ("GET /queries/mine", "HEAD /queries/mine", "GET /queries/mine/direct", "POST /commands/mine"):
        operation = found[name]
        assert operation["security"] == [{"jwt": []}]
        assert {"401", "403"} <= operation["responses"].keys()
        assert "user" not in [each.get("name") for each in operation.get("parameters", [])]
        own = resolved(document, operation["responses"]["403"])["content"] if "HEAD" not in name else {}
        assert "wrong-claim" in own.get("application/problem+json", {}).get("examples", ["wrong-claim"])
    assert "jwt" in document["components"]["securitySchemes"]
    schemas = document["components"]["schemas"]
    assert schemas["mine_body"]["properties"].keys() == {"limit"}
    assert schemas["mine_parameters"]["required"] == ["user"], "an operator names whose answer is invalidated"
    assert found["GET /queries/mine"]["x-cacheaside"]["parameters"]["user"]["source"] == "claim:sub"
    others = [name for name, each in found.items() if "mine" not in name and "security" in each]
    assert bool(others) == (api.reads is Authorization.JWT)
