import pytest
from django.contrib.auth import get_user_model

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(db):
    """Return somebody who has signed up, and verified her address."""
    user = get_user_model().objects.create_user("ada@example.com", PASSWORD)
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    return user


@pytest.fixture(autouse=True)
def passwords_are_hashed_at_once(settings):
    """Hash passwords badly: well takes long, and for the better part of a test run."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def tasks_run_at_once(settings):
    """Do what would be queued on the spot: the tests have no worker."""
    backend = "django.tasks.backends.immediate.ImmediateBackend"
    settings.TASKS = {"default": {"BACKEND": backend}}
