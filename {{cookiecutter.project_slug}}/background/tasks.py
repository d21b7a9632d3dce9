from django.core.management import call_command
from django.tasks import task


@task
def prune():
    """Delete tasks that have been over for a week, failed or not, and old sessions."""
    call_command("ox_prune", older_than="7d", include_failed=True)
    call_command("clearsessions")
