import pytest


@pytest.fixture(autouse=True)
def tasks_run_at_once(settings):
    """Do what would be queued on the spot: the tests have no worker."""
    backend = "django.tasks.backends.immediate.ImmediateBackend"
    settings.TASKS = {"default": {"BACKEND": backend}}
