from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone
from django_ox.models import OxTask

from ops.tasks import prune

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED"])
def test_prune_deletes_tasks_that_ended_a_week_ago(status):
    now = timezone.now()
    for days in (6, 8):
        OxTask.objects.create(
            task_path=f"ended.{days}.days.ago",
            status=status,
            enqueued_at=now - timedelta(days=days),
            finished_at=now - timedelta(days=days),
        )

    prune.enqueue()

    assert OxTask.objects.get().task_path == "ended.6.days.ago"


def test_prune_deletes_expired_sessions():
    now = timezone.now()
    for key, days in (("expired", -1), ("valid", 1)):
        Session.objects.create(session_key=key, expire_date=now + timedelta(days=days))

    prune.enqueue()

    assert Session.objects.get().session_key == "valid"


def test_admin_shows_the_error_of_each_attempt(admin_client):
    traceback = "Traceback (most recent call last): …"
    task = OxTask.objects.create(
        task_path="failed.twice",
        enqueued_at=timezone.now(),
        errors=[
            {"exception_class_path": "builtins.ValueError", "traceback": traceback},
            {"exception_class_path": "builtins.KeyError", "traceback": traceback},
        ],
    )

    url = reverse("admin:django_ox_oxtask_change", args=[task.pk])
    page = admin_client.get(url).text

    assert "builtins.ValueError" in page
    assert "builtins.KeyError" in page
    assert page.count(traceback) == 2
