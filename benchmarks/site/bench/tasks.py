from django.tasks import task


@task
def nothing():
    """Do nothing, so that only the queue is measured."""
