"""GET routes of the documents: the page, the list of queries, and the descriptions of the API."""

from __future__ import annotations

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.http.application import Application
from cacheaside.http.documents import json_response
from cacheaside.http.listing import listing
from cacheaside.http.messages import Request, Response
from cacheaside.http.openapi import openapi
from query import documentation, page

__all__ = ["add_document_routes"]


def add_document_routes(app: Application, catalogue: Catalogue) -> None:
    """Add the routes to `app`. Each document is made when it is requested, so that it costs a cold start nothing."""

    @app.route("/")
    def show_page(_: Request) -> Response:
        return page.html_response("cacheaside", page.asset("page.html"), page.asset("page.js"))

    @app.route("/queries")
    def list_queries(_: Request) -> Response:
        return json_response({"data": listing(catalogue)})

    @app.route("/openapi.json")
    def describe_api(_: Request) -> Response:
        return json_response(openapi(catalogue))

    @app.route("/docs")
    def show_documentation(_: Request) -> Response:
        return page.html_response("cacheaside: documentation", documentation.documentation_body(catalogue))
