from datetime import timedelta
from pathlib import Path

from django.db import close_old_connections
from django.tasks import TaskResultStatus
from django.utils import timezone
from django_tasks_redis import RedisTaskBackend
from django_tasks_redis.brokers import RedisStreamsBroker
from django_tasks_redis.utils import get_result_key


class Broker(RedisStreamsBroker):
    def receive(self, *args, **kwargs):
        if self.backend.heartbeat_file:
            Path(self.backend.heartbeat_file).touch()
        return super().receive(*args, **kwargs)


class RetryingRedisBackend(RedisTaskBackend):
    """
    django-tasks-redis, with what the queue in the database does by itself: a task that
    raises is tried again, later and later, the same three OPTIONS saying when; a worker
    may have a heartbeat; and connections that the database has closed are dropped
    between tasks, as Django does between requests.
    """

    broker_class = Broker
    heartbeat_file = None

    def run_task(self, task_id, worker_id=None, from_statuses=None):
        close_old_connections()
        try:
            result = super().run_task(task_id, worker_id, from_statuses)
        finally:
            close_old_connections()
        if (
            result
            and result.status == TaskResultStatus.FAILED
            and result.attempts < self.options["MAX_ATTEMPTS"]
        ):
            self.retry(result)
        return result

    def retry(self, result):
        delay = self.options["BACKOFF_INITIAL"] * 2 ** (result.attempts - 1)
        delay = timedelta(seconds=min(delay, self.options["BACKOFF_MAX"]))
        key = get_result_key(self.key_prefix, self.alias, result.id)
        redis = self.get_client()
        errors = redis.hget(key, "errors_json")
        redis.hset(key, "run_after", (timezone.now() + delay).isoformat())
        # Whoever receives a task before its time puts it with the delayed ones.
        self.reset_task_status(result.id)
        # It forgets them, and the admin should show them.
        redis.hset(key, "errors_json", errors)
