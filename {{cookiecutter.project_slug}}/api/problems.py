"""
Errors as problem details: https://www.rfc-editor.org/rfc/rfc9457

Errors of the API have the content type application/problem+json, except for requests that
are rejected before, for example because of their Host header.
"""

import json
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

CONTENT_TYPE = "application/problem+json"

RESPONSE = {
    "description": "A problem",
    "content": {
        CONTENT_TYPE: {
            "schema": {
                "type": "object",
                "required": ["title", "status"],
                "properties": {
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    },
}


def describe(status: int, **members: Any) -> dict[str, Any]:
    """Return a problem; `members` are added to it, such as `detail` or `errors`."""
    return {"title": HTTPStatus(status).phrase, "status": status, **members}


def document_problems(result: Any, **options: Any) -> Any:
    """Add the problem to each operation of an OpenAPI schema, and return the schema."""
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = RESPONSE
    return result


class ProblemMiddleware(MiddlewareMixin):
    """Replace the error pages of Django, such as 404 and 500, for URLs of the API."""

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        status = response.status_code
        # While DEBUG is on, the page of a server error shows the traceback.
        shows_traceback = settings.DEBUG and status == HTTPStatus.INTERNAL_SERVER_ERROR
        if (
            request.path.startswith("/api/")
            and status >= HTTPStatus.BAD_REQUEST
            and response.headers["Content-Type"] != CONTENT_TYPE
            and not shows_traceback
        ):
            response.content = json.dumps(describe(status))
            response.headers["Content-Type"] = CONTENT_TYPE
        return response
