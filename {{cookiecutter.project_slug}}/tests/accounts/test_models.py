import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command

User = get_user_model()
pytestmark = pytest.mark.django_db


def test_email_is_case_insensitive(client):
    user = User.objects.create_user("Ada@Example.com", "correct horse battery")

    assert user.email == "ada@example.com"
    assert client.login(username="ADA@example.com", password="correct horse battery")


def test_email_is_unique():
    User.objects.create_user("ada@example.com")

    with pytest.raises(ValidationError, match="already exists"):
        User(email="ADA@example.com", password="!").full_clean()


def test_email_is_required():
    with pytest.raises(ValueError, match="must have an e-mail address"):
        User.objects.create_user("")


async def test_natural_key_ignores_case_in_async_code():
    user = await User.objects.acreate(email="ada@example.com")

    assert await User.objects.aget_by_natural_key("Ada@example.com") == user


def test_createsuperuser_needs_only_email_and_password(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")

    call_command("createsuperuser", email="ada@example.com", interactive=False)

    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password("correct horse battery")
    assert user.emailaddress_set.get().verified
