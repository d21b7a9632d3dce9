from collections.abc import Iterator
from typing import Any

from rest_framework import views
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings

from .problems import CONTENT_TYPE, describe


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an error, or None for an error that is not expected."""
    response = views.exception_handler(error, context)
    if response is not None:
        if isinstance(error, ValidationError) or set(response.data) != {"detail"}:
            members = {"errors": list(flatten(response.data))}
        else:
            members = {"detail": response.data["detail"]}
        response.data = describe(response.status_code, **members)
        response.content_type = CONTENT_TYPE
    return response


def flatten(details: Any, pointer: str = "#") -> Iterator[dict[str, str]]:
    """Yield each error of a serializer, with the JSON pointer of the wrong value."""
    if isinstance(details, dict):
        for name, each in details.items():
            is_whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from flatten(each, pointer if is_whole else f"{pointer}/{name}")
    elif isinstance(details, list):
        for index, each in enumerate(details):
            # A dict has the errors of an item, a text is an error of the list itself.
            is_item = isinstance(each, dict)
            yield from flatten(each, f"{pointer}/{index}" if is_item else pointer)
    else:
        yield {"detail": str(details), "pointer": pointer}
