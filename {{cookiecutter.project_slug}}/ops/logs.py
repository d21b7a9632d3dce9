"""What settings.LOGGING adds to Django's logging."""

import logging
from contextlib import suppress
from contextvars import ContextVar
from copy import copy

from django.conf import settings
from django.http import HttpRequest
from django.urls import ResolverMatch, resolve
from django.utils.encoding import escape_uri_path
from django.views.debug import SafeExceptionReporterFilter

request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestFilter(logging.Filter):
    """
    Add the id of the request to each record, and hide secrets in its path.

    Django logs every response with a status of 400 or more. RequestLogMiddleware has
    logged it already, so that record is dropped, unless it has a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        record.request_id = request_id.get()
        record.__dict__.pop("color_message", None)  # uvicorn's copy of the message.
        request = getattr(record, "request", None)
        if not isinstance(request, HttpRequest):
            return True
        is_response = record.name == "django.request" and not record.exc_info
        if is_response and hasattr(request, "id"):
            return False
        record = copy(record)  # Other handlers may need the original.
        record.__dict__.pop("request")
        path = request.path.encode("unicode_escape").decode()  # As Django logs it.
        record.msg = record.getMessage().replace(path, safe_path(request))
        record.args = ()
        return record


def safe_path(request: HttpRequest) -> str:
    """
    Return the path of a request or, if the path contains a secret, its route.

    The key in a password-reset link is such a secret. In the route, <key> names it, and
    Django has a list of the names that secrets have.
    """
    is_secret = SafeExceptionReporterFilter.hidden_settings.search
    match = request.resolver_match or resolve_path(request)
    if match and any(map(is_secret, match.kwargs)):
        return f"/{match.route}"
    return escape_uri_path(request.path)


def resolve_path(request: HttpRequest) -> ResolverMatch | None:
    """Return the match for a request that a middleware answered with a redirect."""
    if not request.path.startswith(settings.STATIC_URL):
        for path in (request.path_info, f"{request.path_info}/"):
            with suppress(Exception):  # A faulty URLconf has been reported elsewhere.
                return resolve(path)
    return None
