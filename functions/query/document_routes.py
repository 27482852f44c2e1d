"""GET routes of the documents: the page, the list of queries, and the descriptions of the API."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.http.application import READ_METHODS
from cacheaside.http.documents import json_response
from cacheaside.http.listing import listing
from cacheaside.http.openapi import openapi
from query import documentation, page

__all__ = ["add_document_routes"]


def add_document_routes(app: APIGatewayHttpResolver, catalogue: Catalogue) -> None:
    """Add the routes to `app`. Each document is made when it is requested, so that it costs a cold start nothing."""

    @app.route("/", method=READ_METHODS)
    def show_page() -> Response[str]:
        return page.html_response("cacheaside", page.asset("page.html"), page.asset("page.js"))

    @app.route("/queries", method=READ_METHODS)
    def list_queries() -> Response[str]:
        return json_response({"data": listing(catalogue)})

    @app.route("/openapi.json", method=READ_METHODS)
    def describe_api() -> Response[str]:
        return json_response(openapi(catalogue))

    @app.route("/docs", method=READ_METHODS)
    def show_documentation() -> Response[str]:
        return page.html_response("cacheaside: documentation", documentation.documentation_body(catalogue))
