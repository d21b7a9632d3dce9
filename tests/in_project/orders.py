"""A shop that takes orders under load, and has a worker fulfil them."""

import uuid

from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse
from django.tasks import task
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

# A group stands for an order, since the project has it and no model of its own yet.


@csrf_exempt
@transaction.atomic
def order(request):
    name = uuid.uuid4().hex
    Group.objects.create(name=name)
    fulfil.enqueue(name)
    return HttpResponse(status=201)


@task
def fulfil(name):
    Group.objects.filter(name=name).update(name=f"{name} fulfilled")


def latest(request):
    """Look into the cache and into the database."""
    cache.set("latest", Group.objects.order_by("-id").values_list("name").first())
    return HttpResponse(cache.get("latest") or "None yet.")


urlpatterns = [path("order/", order), path("latest/", latest)]
