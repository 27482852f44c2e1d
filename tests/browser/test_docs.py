"""The documentation: a section for each operation and problem, a form that sends requests, lines that a shell runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from playwright.sync_api import Locator, Page, Route, expect

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.http.openapi.document import openapi
from cacheaside.settings import ApiSettings
from tests.browser.support.asking import FAILED_REQUEST
from tests.browser.support.served import Served
from tests.browser.support.views import PHONE, in_both_views
from tests.support.missing_tool import skip_without_tool

# Every sign that means something to a shell, to a URL, to JSON or to an HTML parser.
STRANGE = 'it\'s "quoted" $HOME `id` \\ !x 100% a+b&c=d #e *? ~ <b> 日本 é ;|(){}[]'
ECHO = """-- summary = "Returns the text"
-- ttl = "30s"
-- returns = "one"
-- tags = []
-- params.words = { type = "text[]", example = ["one"] }
select %(words)s as words
"""

# Shifts of what was drawn already, as browsers measure them.
SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) window.shifts += each.value; })
  .observe({ type: "layout-shift", buffered: true });"""

State = Callable[[Page, str], None]
Open = Callable[..., Page]


@pytest.fixture
def open_docs(open_page: Callable[..., Page], served: Served, expected_messages: list[str]) -> Open:
    """Opens GET /docs in a new window, and waits until it is drawn.

    The query function has `variables`, too. `document` replaces the answer of GET /openapi.json.
    """
    expected_messages.append(FAILED_REQUEST)

    def open_at(anchor: str = "", *, document: Any = None, **variables: str) -> Page:
        def prepare(page: Page) -> None:
            page.add_init_script(SHIFTS)
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            if document is not None:
                page.route("**/openapi.json", lambda route: route.fulfill(json=document))

        page = open_page(f"{served.url_with(**variables)}/docs{anchor}", prepare)
        expect(page.get_by_role("heading", name="Problems")).to_be_visible()
        return page

    return open_at


@pytest.fixture
def echo(served: Served) -> Iterator[None]:
    file = served.catalogue / "queries" / "echo.sql"
    file.write_text(ECHO)
    yield
    file.unlink()


def section(page: Page, operation: str) -> Locator:
    return page.locator(f"section#{operation}")


def send(operation: Locator, status: str) -> None:
    operation.get_by_role("button", name="Send").click()
    expect(operation.get_by_role("status").locator("strong")).to_have_text(status)


def send_and_expect(operation: Locator, source: str) -> None:
    send(operation, "200")
    expect(operation.get_by_role("status")).to_contain_text(f"Cache-Status: cacheaside; {source}")


def body_of(operation: Locator) -> Any:
    return json.loads(operation.get_by_role("region", name="Response body").inner_text())


def copied(operation: Locator, name: str) -> str:
    """Return the line that a click on its button puts into the clipboard."""
    button = operation.get_by_role("button", name=name)
    button.click()
    expect(button).to_have_text("Copied")
    text = operation.page.evaluate("navigator.clipboard.readText()")
    assert isinstance(text, str)
    return text


def run(line: str, **variables: str) -> str:
    """Return what the line prints in a shell."""
    if shutil.which("curl") is None:
        skip_without_tool("with curl", "no curl")
    command = ["sh", "-c", f"{line} --silent --show-error"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | variables).stdout


def test_every_operation_and_every_problem_has_a_section(open_docs: Open, served: Served) -> None:
    page = open_docs()
    document = page.request.get(f"{served.url}/openapi.json").json()
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "head" and "without cache" not in operation["tags"]
    }
    problems = {problem["slug"] for problem in document["x-cacheaside"]["problems"]}
    assert len(operations) > 10
    sections = page.locator("main section").evaluate_all("all => all.map(each => each.id)")
    assert sorted(sections) == sorted(operations | problems)
    links = page.locator("#entries a").evaluate_all("all => all.map(each => each.getAttribute('href').slice(1))")
    assert sorted(links) == sorted(sections)


def test_query_is_tried_twice_with_the_keyboard_alone(open_docs: Open) -> None:
    product = section(open_docs(), "query_product")
    product.get_by_label("id", exact=True).focus()
    product.page.keyboard.press("Enter")
    expect(product.get_by_role("status")).to_contain_text("Cache-Status: cacheaside")
    assert body_of(product)["data"]["sku"] == "SKU-0000042"
    product.get_by_role("button", name="Send").focus()
    with product.page.expect_response("**/queries/product*"):
        product.page.keyboard.press("Enter")
    expect(product.get_by_role("button", name="Send")).to_be_focused()


def test_query_is_asked_without_its_cache_and_for_its_headers_alone(open_docs: Open) -> None:
    product = section(open_docs(), "query_product")
    product.get_by_label("Request", exact=True).select_option("direct")
    send(product, "200")
    expect(product.get_by_role("status")).to_contain_text("cacheaside; fwd=request")
    product.get_by_label("Request", exact=True).select_option("HEAD")
    send(product, "200")
    expect(product.get_by_role("status")).to_contain_text("HEAD /queries/product?id=42")
    expect(product.get_by_role("region", name="Response body")).to_have_count(0)


def test_integer_that_javascript_would_round_is_sent_as_declared(open_docs: Open) -> None:
    every_type = section(open_docs(), "query_every_type")
    expect(every_type.get_by_role("region", name="Parameters of every_type")).to_contain_text("9007199254740993")
    send(every_type, "200")
    assert body_of(every_type)["data"]["count"] == 9007199254740993


def test_problem_is_shown_at_its_field_and_leads_to_its_section(open_docs: Open) -> None:
    page = open_docs()
    product = section(page, "query_product")
    product.get_by_label("id", exact=True).fill("0")
    send(product, "400")
    expect(product.get_by_label("id", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(product.locator(".field .problem")).to_contain_text("id must be at least 1")
    page.goto(page.url.partition("/docs")[0] + body_of(product)["type"])
    expect(page.locator("section:target")).to_contain_text("Parameters are missing or wrong")
    expect(page.locator("section:target")).to_be_in_viewport()


def test_command_with_a_key_is_carried_out_once(open_docs: Open) -> None:
    command = section(open_docs(), "command_place_order")
    command.get_by_label("Idempotency-Key", exact=True).fill("from-the-documentation")
    send(command, "200")
    first = body_of(command)
    assert first["invalidation"] in ("done", "pending")
    headers = command.get_by_role("region", name="Response headers", include_hidden=True)
    expect(headers).not_to_contain_text("idempotency-replayed")
    send(command, "200")
    expect(headers).to_contain_text("idempotency-replayed")
    assert body_of(command)["data"] == first["data"]


@pytest.mark.parametrize("what", ["by tags", "the answer of product"])
def test_invalidation_takes_an_answer_out(open_docs: Open, what: str) -> None:
    page = open_docs()
    product, invalidation = section(page, "query_product"), section(page, "invalidate")
    send(product, "200")
    send_and_expect(product, "hit")
    invalidation.get_by_label("What", exact=True).select_option(what)
    if what == "by tags":
        invalidation.get_by_label("tags", exact=True).fill("products:42\norder_items")
    send(invalidation, "200")
    send_and_expect(product, "fwd=miss")


def test_copied_lines_give_the_answers_that_the_forms_give(open_docs: Open, echo: None) -> None:
    page = open_docs()
    words = section(page, "query_echo")
    words.get_by_label("words", exact=True).fill(f"{STRANGE}\n-X\nsecond")
    send(words, "200")
    assert body_of(words) == {"data": {"words": [STRANGE, "-X", "second"]}}
    assert json.loads(run(copied(words, "Copy the curl line"))) == body_of(words)

    command = section(page, "command_set_price")
    command.get_by_label("price", exact=True).fill("25.50")
    command.get_by_label("Idempotency-Key", exact=True).fill("it's-a-key")
    send(command, "200")
    assert json.loads(run(copied(command, "Copy the curl line"))) == body_of(command)

    words.get_by_label("Request", exact=True).select_option("HEAD")
    assert run(copied(words, "Copy the curl line")).startswith("HTTP/1.1 200")


@contextmanager
def captured() -> Iterator[tuple[str, list[AWSRequest]]]:
    """A server that keeps each request, and its address."""
    requests = []

    class Keep(BaseHTTPRequestHandler):
        def keep(self) -> None:
            size = int(self.headers.get("content-length", 0))
            url = f"http://{self.headers['host']}{self.path}"
            requests.append(AWSRequest(self.command, url, dict(self.headers), self.rfile.read(size) or None))
            self.send_response(204)
            self.end_headers()

        do_GET = do_POST = keep  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Keep) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("operation", ["query_echo", "query_top_products", "command_set_price"])
def test_signed_line_has_the_signature_that_aws_expects(
    open_docs: Open, served: Served, echo: None, operation: str
) -> None:
    shown = section(open_docs(AWS_REGION="eu-west-3"), operation)
    if operation == "query_echo":
        shown.get_by_label("words", exact=True).fill(STRANGE)
    line = copied(shown, "Copy the curl, signed")
    with captured() as (server, requests):
        run(
            line.replace(served.url_with(AWS_REGION="eu-west-3"), server),
            AWS_ACCESS_KEY_ID="AKID",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_SESSION_TOKEN="token",
        )
    [request] = requests
    sent = request.headers["Authorization"]
    assert "/eu-west-3/execute-api/aws4_request" in sent
    signed = sent.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert "x-amz-security-token" in signed
    signer = SigV4Auth(Credentials("AKID", "secret", "token"), "execute-api", "eu-west-3")
    request.context["timestamp"] = request.headers["X-Amz-Date"]
    for name in [name for name in request.headers if name.lower() not in signed]:
        del request.headers[name]
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert sent.partition("Signature=")[2] == expected


def test_answer_has_the_types_of_postgresql_and_an_example(open_docs: Open) -> None:
    product = section(open_docs(), "query_product")
    rows = product.get_by_role("region", name="Columns of product").locator("tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.nth(4)).to_contain_text("pricenumericnumber")
    product.get_by_text("Example answer").click()
    example = json.loads(product.get_by_role("region", name="Example answer").inner_text())
    assert list(example["data"]) == ["id", "sku", "name", "category", "price", "sold"]


def test_policy_is_drawn_and_written(open_docs: Open) -> None:
    kept = section(open_docs(), "query_kept_for_errors")
    timeline = kept.get_by_role("img")
    expect(timeline).to_have_accessible_name("Timeline: fresh for 1 s, then on error for 1 h")
    expect(timeline.locator(".time")).to_have_text(["0", "1 s", "1 h 1 s"])
    expect(kept.get_by_text("Until 1 h 1 s the old answer is sent if PostgreSQL fails.")).to_be_visible()
    product = section(kept.page, "query_product")
    expect(product.get_by_text("Stale for 10 min more: the cache answers at once")).to_be_visible()
    expect(product.get_by_text("A committed write to products:{id}, order_items.")).to_be_visible()


def test_sql_is_shown_in_developer_mode_only(open_docs: Open) -> None:
    for switch, count in (("on", 1), ("off", 0)):
        product = section(open_docs(DEVELOPER_MODE=switch), "query_product")
        expect(product.get_by_role("region", name="SQL of", include_hidden=True)).to_have_count(count)
        expect(product.get_by_label("Request", exact=True).locator("option")).to_have_count(2 + count)


def test_bearer_token_is_sent_where_the_api_takes_one(open_docs: Open, state: State) -> None:
    page = open_docs(WRITE_AUTHORIZATION="jwt")
    page.get_by_label("Bearer token", exact=True).fill("a.b.c")
    command = section(page, "command_set_price")
    with page.expect_request("**/commands/set_price") as sent:
        send(command, "200")
    assert sent.value.headers["authorization"] == "Bearer a.b.c"
    assert 'authorization: Bearer $TOKEN"' in copied(command, "Copy the curl line")
    assert "TOKEN" not in copied(section(page, "query_product"), "Copy the curl line")
    state(page, "docs-jwt")


def test_document_behind_a_token_is_drawn_when_the_token_is_there(
    open_page: Callable[..., Page], served: Served, state: State, expected_messages: list[str]
) -> None:
    expected_messages.append(FAILED_REQUEST)

    def answer(route: Route) -> None:  # as the gateway of AWS does
        if route.request.headers.get("authorization") == "Bearer a.b.c":
            route.continue_()
        else:
            route.fulfill(status=401, json={"message": "Unauthorized"})

    page = open_page(f"{served.url}/docs", lambda page: page.route("**/openapi.json", answer))
    expect(page.get_by_role("alert")).to_contain_text("Unauthorized")
    state(page, "docs-unauthorized")
    token = page.get_by_label("Bearer token", exact=True)
    token.fill("expired")
    with page.expect_response("**/openapi.json"):
        token.press("Enter")
    expect(token).to_have_value("expired")
    expect(token).to_be_focused()
    token.fill("a.b.c")
    token.press("Enter")
    expect(section(page, "query_product")).to_be_visible()


def test_what_a_page_cannot_sign_is_a_line_for_a_shell(open_docs: Open, state: State) -> None:
    page = open_docs(WRITE_AUTHORIZATION="iam")
    command = section(page, "command_set_price")
    expect(command.get_by_role("button", name="Send")).to_have_count(0)
    expect(command.get_by_text("which a page does not have")).to_be_visible()
    command.get_by_label("price", exact=True).fill("3")
    assert '"price": 3}' in copied(command, "Copy the curl, signed")
    expect(command.get_by_role("button", name="Copy the curl line")).to_have_count(0)
    expect(section(page, "query_product").get_by_role("button", name="Send")).to_be_visible()
    state(page, "docs-iam")


def test_wrong_file_is_named_with_its_correction(open_docs: Open, served: Served, state: State) -> None:
    wrong = served.catalogue / "queries" / "wrong.sql"
    wrong.write_text("-- ttl = 5\nselect 1\n")
    try:
        page = open_docs()
    finally:
        wrong.unlink()
    expect(page.get_by_role("alert").first).to_contain_text("queries/wrong.sql:1: summary is missing")
    expect(section(page, "query_product")).to_be_visible()
    state(page, "docs-catalogue-error")


def test_empty_catalogue_is_explained(open_docs: Open, tmp_path: Path, state: State) -> None:
    page = open_docs(document=openapi(Catalogue.load(tmp_path), ApiSettings(), {}))
    expect(page.get_by_text("put a .sql file into functions/catalogue/queries")).to_be_visible()
    expect(section(page, "report_health")).to_be_visible()
    state(page, "docs-empty")


def test_document_that_cannot_be_read_is_explained_and_asked_for_again(
    open_page: Callable[..., Page], served: Served, state: State, expected_messages: list[str]
) -> None:
    expected_messages.append(FAILED_REQUEST)
    answers = iter([lambda route: route.abort(), lambda route: route.fulfill(json={"paths": {}}), Route.continue_])
    prepare = lambda page: page.route("**/openapi.json", lambda route: next(answers)(route))  # noqa: E731
    page = open_page(f"{served.url}/docs", prepare)
    expect(page.get_by_role("alert")).to_contain_text("openapi.json cannot be read")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("openapi.json is not what this page expects")
    state(page, "docs-no-document")
    page.get_by_role("button", name="Try again").click()
    expect(section(page, "query_product")).to_be_visible()


def test_contents_are_filtered(open_docs: Open) -> None:
    page = open_docs()
    page.get_by_label("Filter", exact=True).fill("PROD")
    expect(page.locator("#entries a:visible")).to_have_text(["product", "top_products"])
    expect(page.locator("#entries").get_by_text("Problems")).to_be_hidden()


@pytest.mark.parametrize("view", [PHONE], indirect=True)
def test_contents_of_a_narrow_page_close_on_the_way_to_a_section(open_docs: Open) -> None:
    page = open_docs()
    expect(page.get_by_label("Filter", exact=True)).to_be_hidden()
    page.get_by_text("Contents", exact=True).click()
    page.locator("#entries").get_by_role("link", name="/health").click()
    expect(page.get_by_label("Filter", exact=True)).to_be_hidden()
    expect(section(page, "report_health")).to_be_in_viewport()


@in_both_views
def test_page_is_accessible_does_not_jump_and_fits(open_docs: Open, state: State) -> None:
    page = open_docs("#query_product")
    product = section(page, "query_product")
    expect(product).to_be_in_viewport()
    assert page.evaluate("window.shifts") == 0
    state(page, "docs")

    send(product, "200")
    send(section(page, "command_set_price"), "200")
    for name in ("query_product", "command_set_price", "invalidate"):
        section(page, name).locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    product.get_by_label("id", exact=True).fill("0")
    send(product, "400")
    state(page, "docs-open")
