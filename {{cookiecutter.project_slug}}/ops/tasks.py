from django.core.management import call_command
from django.tasks import task


@task
def ping() -> None:
    """Do nothing: `manage.py doctor` waits until a worker has run this task."""


@task
def prune() -> None:
    """Delete tasks that ended a week ago, failed ones too, and expired sessions."""
    call_command("ox_prune", older_than="7d", include_failed=True)
    call_command("clearsessions")
