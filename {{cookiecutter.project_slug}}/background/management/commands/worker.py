import os
from pathlib import Path

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.tasks import task_backends


class Command(BaseCommand):
    """One name for what systemd, Compose and Kubernetes start, whichever queue it is."""

    help = "Does the tasks in the queue, e-mails among them, until it is stopped."

    def add_arguments(self, parser):
        parser.add_argument(
            "--heartbeat-file",
            help="A file to touch between tasks, for `ox_health` to look at.",
        )

    def handle(self, heartbeat_file, **options):
        # What the libraries' commands would print, they log as well.
        if settings.TASKS_URL:
            task_backends["default"].heartbeat_file = heartbeat_file
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                call_command("run_redis_tasks", continuous=True, stdout=nowhere)
        else:
            call_command(
                "ox_worker",
                concurrency=4,
                heartbeat_file=heartbeat_file,
                verbosity=0,
            )
