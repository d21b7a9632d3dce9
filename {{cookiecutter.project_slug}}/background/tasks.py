from django.core.management import call_command
from django.tasks import task


@task
def prune():
    """Delete the tasks that have been over for a week, failed ones too."""
    call_command("ox_prune", older_than="7d", include_failed=True)
