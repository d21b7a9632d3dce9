"""The log line and the headers of every response, and the encoding of forms."""

import codecs
import logging
import re
import secrets
import time
from functools import cache

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from .logs import request_id, safe_path

logger = logging.getLogger(__name__)

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class LoggedRequest(HttpRequest):
    """What RequestLogMiddleware adds to a request."""

    id: str
    started_at: float


class RequestLogMiddleware(MiddlewareMixin):
    """Log each request, and send its id in the X-Request-ID header."""

    def process_request(self, request: LoggedRequest) -> None:
        request.id = get_request_id(request)
        request.started_at = time.perf_counter()
        # Not reset by the response: Django and uvicorn may log more after it.
        request_id.set(request.id)
        if (
            request.headers.get("X-Forwarded-Proto") == "https"
            and not request.is_secure()
        ):
            warn_of_untrusted_proxy(request.META.get("REMOTE_ADDR", ""))

    def process_response(
        self, request: LoggedRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response.headers["X-Request-ID"] = request.id
        if not request.path.startswith(settings.REQUEST_LOG_EXCLUDE):
            fields = {
                "method": request.method,
                "path": safe_path(request),
                "status_code": response.status_code,
                "ms": round((time.perf_counter() - request.started_at) * 1000),
                "user_id": get_user_id(request),
            }
            message = "%(method)s %(path)s %(status_code)s in %(ms)s ms"
            if fields["user_id"]:
                message += " for user %(user_id)s"
            logger.info(message, fields, extra=fields)
        return response


class ExtraHeadersMiddleware(MiddlewareMixin):
    """Add settings.EXTRA_HEADERS to each response that does not set them itself."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        for name, value in settings.EXTRA_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class FormEncodingMiddleware(MiddlewareMixin):
    """
    Refuse forms in another encoding than UTF-8, which no browser sends.

    Django raises an exception when it reads such a form, and another one while it
    responds to the first: https://docs.djangoproject.com/en/6.1/ref/request-response/
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.encoding is None or request.content_type not in FORM_TYPES:
            return None
        if codecs.lookup(request.encoding).name != "utf-8":
            message = "Forms must be encoded in UTF-8."
            return HttpResponse(message, content_type="text/plain", status=400)
        request.encoding = "utf-8"  # Django does not know its other names.
        return None


@cache  # Once in each process.
def warn_of_untrusted_proxy(address: str) -> None:
    logger.warning(
        "The proxy %s is not trusted: its X-Forwarded-* headers are ignored, and HTTPS "
        "requests are redirected to themselves. Add it to FORWARDED_ALLOW_IPS.",
        address,
    )


def get_request_id(request: HttpRequest) -> str:
    """
    Return the id that a trusted proxy gave the request, or a new one.

    When uvicorn trusts a proxy, it replaces the proxy's address with the client's and
    the port with 0: https://uvicorn.dev/deployment/#proxies-and-forwarded-headers
    """
    given = request.headers.get("X-Request-ID", "")
    is_trusted = request.META.get("REMOTE_PORT") == 0
    if is_trusted and re.fullmatch(r"[\w-]{8,64}", given, re.ASCII):
        return given
    return secrets.token_hex(16)


def get_user_id(request: HttpRequest) -> str | None:
    """Return the id of the logged-in user, if the session was loaded; make no query."""
    session = getattr(request, "session", None)
    return getattr(session, "_session_cache", {}).get(SESSION_KEY)
