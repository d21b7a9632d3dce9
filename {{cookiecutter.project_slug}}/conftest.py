"""The fixtures of all tests, those of new apps too."""

from collections.abc import Iterable, Iterator
from inspect import iscoroutinefunction

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import Model
from django.test import override_settings

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


@pytest.fixture(scope="session", autouse=True)
def settings_of_tests() -> Iterator[None]:
    """Change settings for all tests. A test changes others by the fixture `settings`."""
    with override_settings(
        # Without the delay that makes a hash secure.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        # Tasks run when they are enqueued, since the tests have no worker.
        TASKS={
            "default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}
        },
        # Each of many handlers would scan the collected static files.
        # https://whitenoise.readthedocs.io/en/stable/django.html#whitenoise-makes-my-tests-run-slow
        WHITENOISE_AUTOREFRESH=True,
    ):
        yield
