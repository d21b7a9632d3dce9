import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connections

User = get_user_model()
pytestmark = pytest.mark.django_db


def test_a_user_logs_in_with_an_address_in_any_capitals(client):
    user = User.objects.create_user("Ada@Example.com", "correct horse battery")

    assert user.email == "ada@example.com"
    assert client.login(username="ADA@example.com", password="correct horse battery")


def test_one_address_makes_one_account():
    User.objects.create_user("ada@example.com")

    with pytest.raises(ValidationError, match="already exists"):
        User(email="ADA@example.com", password="!").full_clean()


def test_a_user_without_an_address_is_refused():
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user("")


# The ORM works in a thread of its own there, which sees only what is committed.
@pytest.mark.django_db(transaction=True)
async def test_a_user_is_found_by_address_from_an_async_view_too():
    user = await User.objects.acreate(email="ada@example.com")

    assert await User.objects.aget_by_natural_key("Ada@example.com") == user
    # PostgreSQL does not drop a database that somebody is connected to.
    await sync_to_async(connections.close_all)()


def test_createsuperuser_asks_for_nothing_but_address_and_password(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")

    call_command("createsuperuser", email="ada@example.com", interactive=False)

    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password("correct horse battery")
    assert user.emailaddress_set.get().verified
