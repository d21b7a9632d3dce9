"""What the benchmarks ask for besides the home page, each as anybody would write it."""

import asyncio
import time

from django.conf import settings
from django.db import connection
from django.http import FileResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from .models import Entry


def read(request):
    """The twenty newest rows."""
    return JsonResponse({"entries": list(Entry.objects.order_by("-pk").values()[:20])})


def write(request):
    """One row more. A GET, so that the load generator needs no body and no token."""
    return JsonResponse({"id": Entry.objects.create(title="One more").pk})


def wait(request, ms):
    """Wait without the processor, as for an answer from another machine."""
    time.sleep(ms / 1000)
    return JsonResponse({"ms": ms})


def compute(request, ms):
    """Use the processor for some time."""
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
    return JsonResponse({"ms": ms})


async def json(request):
    return JsonResponse({"numbers": list(range(50))})


async def wait_async(request, ms):
    await asyncio.sleep(ms / 1000)
    return JsonResponse({"ms": ms})


def query_and_wait(request, ms):
    """A query, and then an API that is slow."""
    read(request)
    time.sleep(ms / 1000)
    return JsonResponse({"ms": ms})


def remote(request):
    """Ten queries to a PostgreSQL that is 2 ms away."""
    with connection.cursor() as cursor:
        for _ in range(10):
            cursor.execute("SELECT pg_sleep(0.002)")
    return JsonResponse({})


async def stream(request):
    """Events without end."""

    async def events():
        while True:
            yield b"data: event\n\n"
            await asyncio.sleep(10)

    return StreamingHttpResponse(events(), content_type="text/event-stream")


def download(request):
    return FileResponse((settings.BASE_DIR / "large").open("rb"))


@csrf_exempt
def upload(request):
    size = 0
    while part := request.read(2**16):
        size += len(part)
    return JsonResponse({"size": size})
