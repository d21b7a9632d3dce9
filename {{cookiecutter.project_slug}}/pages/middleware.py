"""What every request gets: an id, a line in the log, and headers for the browser."""

import logging
import re
import secrets
import time
from contextlib import suppress
from contextvars import ContextVar
from copy import copy

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.urls import resolve
from django.utils.deprecation import MiddlewareMixin
from django.utils.encoding import escape_uri_path
from django.views.debug import SafeExceptionReporterFilter

logger = logging.getLogger(__name__)
request_id = ContextVar("request_id", default="")


class LogMiddleware(MiddlewareMixin):
    """Log each request in one line, and name it in the header X-Request-ID."""

    def process_request(self, request):
        request.id = identify(request)
        request.began = time.perf_counter()
        # It stays after the response, for what Django and uvicorn have to add.
        request_id.set(request.id)

    def process_response(self, request, response):
        response.headers["X-Request-ID"] = request.id
        line = {
            "method": request.method,
            "path": loggable_path(request),
            "status": response.status_code,
            "ms": round((time.perf_counter() - request.began) * 1000),
            "user_id": loaded_user_id(request),
        }
        text = "%(method)s %(path)s %(status)s in %(ms)s ms"
        if line["user_id"]:
            text += " for user %(user_id)s"
        logger.info(text, line, extra=line)
        return response


class HeadersMiddleware(MiddlewareMixin):
    """Add settings.EXTRA_HEADERS to each response; a view may have set its own."""

    def process_response(self, request, response):
        for name, value in settings.EXTRA_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class RequestFilter(logging.Filter):
    """
    Give each line its request's id, and keep repetition and secrets out of the log.

    Django logs a response of 400 or more too, which LogMiddleware has done, and an
    exception with the path, in which may be a secret.
    """

    def filter(self, record):
        record.request_id = request_id.get()
        record.__dict__.pop("color_message", None)  # uvicorn's, for terminals.
        request = getattr(record, "request", None)
        if not isinstance(request, HttpRequest):
            return True
        is_response = record.name == "django.request" and not record.exc_info
        if is_response and hasattr(request, "id"):
            return False
        line = copy(record)  # Not every handler has this filter.
        del line.request
        path = request.path.encode("unicode_escape").decode()  # As Django logs it.
        line.msg = record.getMessage().replace(path, loggable_path(request))
        line.args = ()
        return line


def identify(request):
    """
    Return the id that a trusted proxy has given to the request, or a new one.

    uvicorn trusts those in FORWARDED_ALLOW_IPS: it puts the visitor's address in the
    place of theirs, with the port 0, from which nobody can connect:
    https://uvicorn.dev/deployment/#proxies-and-forwarded-headers
    """
    given = request.headers.get("X-Request-ID", "")
    if request.META.get("REMOTE_PORT") == 0 and re.fullmatch(
        r"[\w-]{8,64}", given, re.A
    ):
        return given
    return secrets.token_hex(16)


def loggable_path(request):
    """
    Return the path or, if it has a secret in it, the route.

    Such a secret is the key in a link by which to reset a password. It has a name in
    the route, as in <token>; Django has a list of what such names contain.
    """
    is_secret = SafeExceptionReporterFilter.hidden_settings.search
    match = request.resolver_match or find(request)
    if match and any(map(is_secret, match.kwargs)):
        return f"/{match.route}"
    return escape_uri_path(request.path)


def find(request):
    """
    Return the match of a request that no view has answered, or None.

    A middleware did: it led to the same path with TLS or a slash at its end, say. Most
    often it is a static file, and that is soon told.
    """
    if not request.path.startswith(settings.STATIC_URL):
        for path in (request.path_info, f"{request.path_info}/"):
            with suppress(Exception):  # To log is not the time to find a mistake there.
                return resolve(path)
    return None


def loaded_user_id(request):
    """Return who is logged in, if that was asked for: no query is made to find out."""
    session = getattr(request, "session", None)
    return getattr(session, "_session_cache", {}).get(SESSION_KEY)
