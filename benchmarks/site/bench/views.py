"""What load.py asks for besides the home page, each as anybody would write it."""

import time

from django.http import JsonResponse

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
