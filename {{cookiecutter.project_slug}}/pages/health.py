"""Whether the site is up, for whatever watches it: a load balancer, Kubernetes, you."""

import logging
from concurrent.futures import Future, wait
from threading import Thread

from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)

PATIENCE = 2  # seconds, for all checks together


def middleware(get_response):
    """
    Answer /livez and /readyz before everything else.

    Who asks calls the machine by its address and without TLS, which ALLOWED_HOSTS and
    the redirect to TLS would not let pass.
    """
    views = {"/livez": livez, "/readyz": readyz}

    def answer(request):
        return views.get(request.path_info, get_response)(request)

    return answer


@require_safe
def livez(request):
    """Say that the process is up, and touch nothing to find out."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def readyz(request):
    """
    Say whether pages can be served: 200, or 503 with the names of what failed.

    The reasons are in the log alone. `?exclude=cache`, as in Kubernetes' own /readyz,
    leaves a check out: the site goes on without its cache, and a load balancer that
    took every machine away for it would make an outage of an inconvenience.
    """
    excluded = request.GET.getlist("exclude")
    answers = {name: ask(name) for name in CHECKS if name not in excluded}
    late = wait(answers.values(), PATIENCE).not_done
    failed = [
        name if answer in late else answer.result() for name, answer in answers.items()
    ]
    text = ", ".join(filter(None, failed))
    return HttpResponse(
        f"failed: {text}" if text else "ok",
        content_type="text/plain",
        status=503 if text else 200,
    )


def ask(name):
    """
    Return the Future of a check, which runs in a thread of its own.

    A database that hangs may hang for hours: who asks again joins those who wait for
    the one thread that is stuck, and nobody waits longer than PATIENCE.
    """
    answer = running.get(name)
    if not answer or answer.done():
        running[name] = answer = Future()
        Thread(target=run, args=(name, answer), daemon=True).start()
    return answer


def run(name, answer):
    try:
        try:
            failed = CHECKS[name]()
        finally:
            connections.close_all()
    except Exception as error:
        logger.warning("The %s does not answer: %s", name, error)
        failed = name
    answer.set_result(failed)


def check_database():
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "migrations" if pending else None


def check_cache():
    if cache.get("readyz") is None:
        cache.set("readyz", True, timeout=None)
    return None if cache.get("readyz") else "cache"


CHECKS = {"database": check_database, "cache": check_cache}
running = {}
