"""GET routes of the documents: the page, the list of queries, and the descriptions of the API.

Each document is made when it is requested, and its modules are imported then: they cost a cold start nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.errors import DatabaseError
from cacheaside.http.application import Application
from cacheaside.http.documents import JSON, document_response
from cacheaside.http.messages import Request, Response
from cacheaside.settings import ApiSettings

if TYPE_CHECKING:
    from cacheaside.catalogue.columns import RowTypes

__all__ = ["add_document_routes"]


def add_document_routes(
    app: Application, catalogue: Catalogue, api: ApiSettings, row_types: Callable[[Catalogue], RowTypes]
) -> None:
    """Add the routes to `app`. `row_types` reads how the deployment described the rows. It may raise DatabaseError."""

    def described() -> RowTypes:
        try:
            return row_types(catalogue)
        except DatabaseError as error:  # the document is worth having without the types of rows
            logging.getLogger(__name__).warning("the document has no types of rows: %s", error)
            return {}

    def as_json(document: object, request: Request) -> Response:
        return document_response(json.dumps(document, ensure_ascii=False), {"Content-Type": JSON}, request.headers)

    @app.route("/")
    def show_page(request: Request) -> Response:
        from query import page

        return page.html_response("page", "cacheaside", request.headers)

    @app.route("/queries")
    def list_queries(request: Request) -> Response:
        from cacheaside.http.listing import listing

        return as_json(listing(catalogue, api), request)

    @app.route("/openapi.json")
    def describe_api(request: Request) -> Response:
        from cacheaside.http.openapi.document import openapi

        return as_json(openapi(catalogue, api, described()), request)

    @app.route("/docs")
    def show_documentation(request: Request) -> Response:
        from query import page

        return page.html_response("docs", "cacheaside: documentation", request.headers)
