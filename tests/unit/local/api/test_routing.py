"""The choice of a route: the example of API Gateway's documentation, and special cases."""

import pytest

from local.api.routing import Router
from local.template import Route, read_template
from tests.support.root import ROOT

# The least specific first: the order in the template must not matter.
ROUTES = [
    ("", "$default"),
    ("ANY", "/{proxy+}"),
    ("GET", "/pets/{proxy+}"),
    ("GET", "/pets/dog/{id}"),
    ("GET", "/pets/dog/1"),
    ("ANY", "/pets/dog/{id}/toys"),
    ("POST", "/pets/dog/{id}/toys"),
    ("GET", "/"),
]


@pytest.fixture
def router() -> Router:
    return Router(Route(method, path, "Function") for method, path in ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/", "GET /", {}),
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/2/toys", "POST /pets/dog/{id}/toys", {"id": "2"}),
        ("PUT", "/pets/dog/2/toys", "ANY /pets/dog/{id}/toys", {"id": "2"}),
        ("GET", "/pets/dog/a%20b%2Fc", "GET /pets/dog/{id}", {"id": "a b/c"}),
        ("POST", "/", "$default", {}),
        ("GET", "/pets/dog/", "GET /pets/{proxy+}", {"proxy": "dog/"}),
    ],
)
def test_the_most_specific_route_answers(
    router: Router, method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    match = router.match(method, path)
    assert match is not None
    assert (match.route.key, match.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("path", "key", "parameters"),
    [
        ("/queries/product/direct", "{} /queries/{{name}}/direct", {"name": "product"}),
        ("/queries/direct/direct", "{} /queries/{{name}}/direct", {"name": "direct"}),
        ("/queries/direct", "{} /queries/{{name}}", {"name": "direct"}),
        ("/queries/product%2Fdirect", "{} /queries/{{name}}", {"name": "product/direct"}),
        ("/queries/a/b/direct", "$default", {}),
        ("/queries/product/%64irect", "$default", {}),
        ("/queries//direct", "$default", {}),
    ],
)
def test_routes_of_the_template_tell_a_query_from_its_answer_without_the_cache(
    path: str, key: str, parameters: dict[str, str]
) -> None:
    router = Router(read_template(ROOT / "template.yaml").routes)
    for method in ("GET", "HEAD"):
        match = router.match(method, path)
        assert match is not None
        assert (match.route.key, match.parameters) == (key.format(method), parameters)


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/things"), ("GET", "/things/"), ("GET", "/"), ("GET", "")])
def test_without_a_default_route_other_requests_match_none(method: str, path: str) -> None:
    assert Router([Route("GET", "/things", "Function")]).match(method, path) is None
