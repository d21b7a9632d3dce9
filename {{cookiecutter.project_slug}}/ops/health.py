"""Health checks for load balancers, Kubernetes and monitoring."""

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread

from django.core import signing
from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)

TIMEOUT = 2  # Seconds for all checks together.


class HealthMiddleware(MiddlewareMixin):
    """
    Answer /livez and /readyz before any other middleware.

    Health probes use the IP address and no TLS: ALLOWED_HOSTS and the redirect to HTTPS
    would reject them.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        view = VIEWS.get(request.path_info)
        return view(request) if view else None


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """
    Return 200: the process is running. Nothing else is checked.

    `manage.py doctor` proves with a signature that it knows the SECRET_KEY. The response
    tells it the address and the scheme with which its request arrived.
    """
    with suppress(signing.BadSignature):
        signing.loads(request.headers.get("X-Doctor", ""), max_age=60)
        address = request.META.get("REMOTE_ADDR")
        return JsonResponse({"address": address, "scheme": request.scheme})
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """
    Return 200 if pages can be served, else 503 with the names of the failed checks.

    The log has the reasons. `?exclude=cache` skips a check, as in Kubernetes' own
    /readyz: the site works without its cache, so a load balancer should not remove
    every machine when the cache is down.
    """
    excluded = request.GET.getlist("exclude")
    results = {name: start_check(name) for name in CHECKS if name not in excluded}
    not_done = wait(results.values(), TIMEOUT).not_done
    failed = [
        name if result in not_done else result.result()
        for name, result in results.items()
    ]
    names = ", ".join(filter(None, failed))
    return HttpResponse(
        f"failed: {names}" if names else "ok",
        content_type="text/plain",
        status=503 if names else 200,
    )


def start_check(name: str) -> Future[str | None]:
    """
    Return the Future of a check, which runs in a thread of its own.

    A database may not answer for hours. Later requests share the thread that waits for
    it, and no request waits longer than TIMEOUT.
    """
    result = running.get(name)
    if not result or result.done():
        running[name] = result = Future()
        Thread(target=run_check, args=(name, result), daemon=True).start()
    return result


def run_check(name: str, result: Future[str | None]) -> None:
    """Set the name of what failed, or None, as the result of a check."""
    try:
        try:
            failed = CHECKS[name]()
        finally:
            connections.close_all()
    except Exception as error:
        logger.warning("The health check of the %s failed: %s", name, error)
        failed = name
    result.set_result(failed)


def check_database() -> str | None:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "migrations" if pending else None


def check_cache() -> str | None:
    value = time.time()
    cache.set(CACHE_KEY, value, timeout=60)
    return None if cache.get(CACHE_KEY) == value else "cache"


VIEWS = {"/livez": livez, "/readyz": readyz}
CHECKS: dict[str, Callable[[], str | None]] = {
    "database": check_database,
    "cache": check_cache,
}
# Another process must not replace the value between the two calls.
CACHE_KEY = f"readyz-{secrets.token_hex(8)}"
running: dict[str, Future[str | None]] = {}
