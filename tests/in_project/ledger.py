"""Pages that read and write the database, for a workspace under load."""

import uuid

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def read(request):
    latest = Group.objects.order_by("-id")[:10]
    return JsonResponse({"latest": [group.name for group in latest]})


@csrf_exempt
@transaction.atomic
def write(request):
    """Read and write in one transaction, as a page with a form does."""
    latest = Group.objects.order_by("-id").first()
    Group.objects.create(name=f"{uuid.uuid4()} after {latest and latest.id}")
    return HttpResponse(status=201)


urlpatterns = [path("read/", read), path("write/", write)]
