"""The fixtures of all tests, those of new apps too."""

from collections.abc import Iterable
from inspect import iscoroutinefunction

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import Model

PASSWORD = "correct horse battery"


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Run `async def` tests in the thread, and so in the transaction, of the others."""
    for item in items:
        if isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
            item.obj = async_to_sync(item.obj)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep an SQLite test database in a file, which several threads can use."""
    database = connections.settings["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        database["TEST"]["NAME"] = str(path)


@pytest.fixture
def ada(db: None) -> Model:
    """Return a user with a verified e-mail address."""
    user = get_user_model().objects.create_user("ada@example.com", PASSWORD)
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    return user


@pytest.fixture(autouse=True)
def fast_password_hasher(settings):
    """Hash passwords without the delay that makes a hash secure."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def immediate_tasks(settings):
    """Run tasks when they are enqueued; the tests have no worker."""
    backend = "django.tasks.backends.immediate.ImmediateBackend"
    settings.TASKS = {"default": {"BACKEND": backend}}
