from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.tasks import TaskResultStatus
from django.urls import reverse
from django.utils import timezone
from django_ox.models import OxTask
from django_tasks_redis.brokers import RedisStreamsBroker

from background.redis import RedisTaskBackend, RetryingRedisBackend
from background.tasks import prune


@pytest.fixture
def commands(monkeypatch):
    """Return the commands that `worker` calls, each with its options, calling none."""
    commands = {}
    monkeypatch.setattr(
        "background.management.commands.worker.call_command",
        lambda command, **options: commands.update({command: options}),
    )
    return commands


def test_the_worker_serves_the_queue_in_the_database(commands, settings):
    settings.TASKS_URL = None

    call_command("worker", heartbeat_file="/run/worker")

    assert commands["ox_worker"]["heartbeat_file"] == "/run/worker"


def test_the_worker_serves_the_queue_on_redis(commands, settings):
    settings.TASKS_URL = "redis://redis.example.com"

    call_command("worker", heartbeat_file="/run/worker")

    assert commands["run_redis_tasks"]["continuous"]


@pytest.mark.parametrize("name", [None, "heart"])
def test_a_worker_on_redis_has_a_heartbeat_if_asked_to(monkeypatch, tmp_path, name):
    monkeypatch.setattr(RedisStreamsBroker, "receive", lambda self: ["message"])
    backend = RetryingRedisBackend("default", {})
    backend.heartbeat_file = name and tmp_path / name

    assert backend.broker.receive() == ["message"]

    assert (tmp_path / "heart").exists() == bool(name)


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED"])
def test_tasks_are_kept_for_a_week(status):
    now = timezone.now()
    for days in (6, 8):
        OxTask.objects.create(
            task_path=f"over.{days}.days",
            status=status,
            enqueued_at=now - timedelta(days=days),
            finished_at=now - timedelta(days=days),
        )

    prune.enqueue()

    assert OxTask.objects.get().task_path == "over.6.days"


@pytest.mark.django_db
def test_sessions_that_have_ended_are_deleted():
    now = timezone.now()
    for key, days in (("ended", -1), ("open", 1)):
        Session.objects.create(session_key=key, expire_date=now + timedelta(days=days))

    prune.enqueue()

    assert Session.objects.get().session_key == "open"


TRACEBACK = "Traceback (most recent call last): …"


@pytest.mark.django_db
def test_the_admin_shows_why_each_attempt_failed(admin_client):
    task = OxTask.objects.create(
        task_path="over.and.over",
        enqueued_at=timezone.now(),
        errors=[
            {"exception_class_path": "builtins.ValueError", "traceback": TRACEBACK},
            {"exception_class_path": "builtins.KeyError", "traceback": TRACEBACK},
        ],
    )

    url = reverse("admin:django_ox_oxtask_change", args=[task.pk])
    page = admin_client.get(url).text

    assert "builtins.KeyError" in page
    assert page.count(TRACEBACK) == 2
    assert "style=" not in page


class Redis:
    """What the queue on Redis writes down, without a server."""

    def __init__(self):
        self.delays = []

    def hget(self, key, field):
        return "[]"

    def hset(self, key, field, value):
        if field == "run_after":
            self.delays.append(datetime.fromisoformat(value) - timezone.now())


@pytest.fixture
def redis():
    return Redis()


@pytest.fixture
def run_on_redis(redis, monkeypatch):
    """Return a function that runs a task to an end, and returns it if it is retried."""
    options = {"MAX_ATTEMPTS": 4, "BACKOFF_INITIAL": 20, "BACKOFF_MAX": 60}

    def run_on_redis(status, attempts):
        backend = RetryingRedisBackend("default", {"OPTIONS": options})
        result = SimpleNamespace(id="1", status=status, attempts=attempts)
        again = []
        monkeypatch.setattr(RedisTaskBackend, "run_task", lambda *args: result)
        monkeypatch.setattr(backend, "get_client", lambda: redis)
        monkeypatch.setattr(backend, "reset_task_status", again.append)
        assert backend.run_task("1") is result
        return again

    return run_on_redis


@pytest.mark.django_db
def test_a_task_on_redis_is_tried_again_later_and_later(run_on_redis, redis):
    for attempts in (1, 2, 3):
        assert run_on_redis(TaskResultStatus.FAILED, attempts) == ["1"]

    assert [round(delay.total_seconds()) for delay in redis.delays] == [20, 40, 60]


@pytest.mark.django_db
def test_a_task_on_redis_is_not_tried_for_ever(run_on_redis):
    assert run_on_redis(TaskResultStatus.FAILED, attempts=4) == []


@pytest.mark.django_db
def test_a_task_on_redis_that_is_done_is_done(run_on_redis):
    assert run_on_redis(TaskResultStatus.SUCCESSFUL, attempts=1) == []
