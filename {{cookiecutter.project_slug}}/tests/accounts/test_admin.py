import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.conftest import PASSWORD

User = get_user_model()
pytestmark = pytest.mark.django_db

LISTS = [
    "accounts_user",
    "account_emailaddress",
    "auth_group",
    "mfa_authenticator",
    "usersessions_usersession",
]


def make(number):
    """Make somebody who is in every list of the admin."""
    user = User.objects.create_user(f"user{number}@example.com")
    user.groups.create(name=f"Group {number}")
    user.emailaddress_set.create(email=user.email)
    user.authenticator_set.create(type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    user.usersession_set.create(session_key=number, ip="192.0.2.1", user_agent="Lynx")
    return user


def test_the_admin_is_entered_through_the_log_in_of_the_site(client):
    response = client.get("/admin/", follow=True)

    assert response.redirect_chain[-1][0] == "/accounts/login/?next=%2Fadmin%2F"


def test_the_admin_is_closed_to_those_who_are_not_staff(client, ada):
    client.force_login(ada)

    assert client.get("/admin/", follow=True).status_code == 403


def test_a_password_is_changed_where_everybody_changes_it(admin_client):
    response = admin_client.get("/admin/password_change/")

    assert response.headers["Location"] == reverse("account_change_password")


@pytest.mark.parametrize("name", LISTS)
def test_a_longer_list_takes_no_more_queries(
    admin_client, django_assert_num_queries, name
):
    url = reverse(f"admin:{name}_changelist")
    make(1)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(url)

    for number in range(2, 9):
        make(number)

    with django_assert_num_queries(len(queries)):
        assert "user8" in admin_client.get(url).text or name == "auth_group"


@pytest.mark.parametrize("name", ["accounts_user", *LISTS[1:2], *LISTS[4:]])
def test_somebody_is_found_by_address(admin_client, name):
    make(1)
    make(2)

    page = admin_client.get(reverse(f"admin:{name}_changelist"), {"q": "user2@"}).text

    assert "user2@example.com" in page
    assert "user1@example.com" not in page


def test_a_user_is_added_by_address(admin_client):
    admin_client.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "Grace@example.com",
            "usable_password": "true",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
        },
    )

    assert User.objects.get(email="grace@example.com").has_usable_password()


def test_a_new_name_leaves_the_address_verified(admin_client, ada):
    url = reverse("admin:accounts_user_change", args=[ada.pk])
    admin_client.post(url, {"email": ada.email, "first_name": "Ada"})

    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert ada.emailaddress_set.get().verified


def test_a_new_address_takes_the_place_of_the_old_one(admin_client, client, ada):
    url = reverse("admin:accounts_user_change", args=[ada.pk])
    admin_client.post(url, {"email": "ada@example.org", "is_active": "on"})

    assert not client.login(email="ada@example.com", password=PASSWORD)
    assert client.login(email="ada@example.org", password=PASSWORD)
    assert not ada.emailaddress_set.exists()


def test_the_secret_of_an_authenticator_app_is_not_shown(admin_client):
    app = make(1).authenticator_set.get()

    page = admin_client.get(reverse("admin:mfa_authenticator_change", args=[app.pk]))

    assert page.status_code == 200
    assert app.data["secret"] not in page.text
