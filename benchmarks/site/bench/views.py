"""What load.py asks for besides the home page, each as anybody would write it."""

from django.http import JsonResponse

from .models import Entry


def read(request):
    """The twenty newest rows."""
    return JsonResponse({"entries": list(Entry.objects.order_by("-pk").values()[:20])})


def write(request):
    """One row more. A GET, so that the load generator needs no body and no token."""
    return JsonResponse({"id": Entry.objects.create(title="One more").pk})


async def json(request):
    return JsonResponse({"numbers": list(range(50))})
