import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conftest import PASSWORD

User = get_user_model()
pytestmark = pytest.mark.django_db

LISTS = [
    "accounts_user",
    "account_emailaddress",
    "auth_group",
    "mfa_authenticator",
    "usersessions_usersession",
]


def create_user(number):
    """Create a user with an object in each list of the admin."""
    user = User.objects.create_user(f"user{number}@example.com")
    user.groups.create(name=f"Group {number}")
    user.emailaddress_set.create(email=user.email)
    user.authenticator_set.create(type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    user.usersession_set.create(session_key=number, ip="192.0.2.1", user_agent="Lynx")
    return user


def test_admin_redirects_to_the_login_page_of_the_site(client):
    response = client.get("/admin/", follow=True)

    assert response.redirect_chain[-1][0] == "/accounts/login/?next=%2Fadmin%2F"


def test_admin_is_forbidden_for_users_who_are_not_staff(client, ada):
    client.force_login(ada)

    assert client.get("/admin/", follow=True).status_code == 403


def test_admin_redirects_to_the_password_page_of_the_site(admin_client):
    response = admin_client.get("/admin/password_change/")

    assert response.headers["Location"] == reverse("account_change_password")


@pytest.mark.parametrize("name", LISTS)
def test_number_of_queries_does_not_depend_on_the_length_of_a_list(
    admin_client, django_assert_num_queries, name
):
    url = reverse(f"admin:{name}_changelist")
    create_user(1)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(url)

    for number in range(2, 9):
        create_user(number)

    with django_assert_num_queries(len(queries)):
        assert "user8" in admin_client.get(url).text or name == "auth_group"


@pytest.mark.parametrize("name", ["accounts_user", *LISTS[1:2], *LISTS[4:]])
def test_lists_are_searched_by_address(admin_client, name):
    create_user(1)
    create_user(2)

    page = admin_client.get(reverse(f"admin:{name}_changelist"), {"q": "user2@"}).text

    assert "user2@example.com" in page
    assert "user1@example.com" not in page


def test_user_is_added_by_address(admin_client):
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


def test_change_of_the_name_keeps_the_address_verified(admin_client, ada):
    url = reverse("admin:accounts_user_change", args=[ada.pk])
    admin_client.post(url, {"email": ada.email, "first_name": "Ada"})

    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert ada.emailaddress_set.get().verified


def test_change_of_the_address_replaces_the_verified_address(admin_client, client, ada):
    url = reverse("admin:accounts_user_change", args=[ada.pk])
    admin_client.post(url, {"email": "ada@example.org", "is_active": "on"})

    assert not client.login(email="ada@example.com", password=PASSWORD)
    assert client.login(email="ada@example.org", password=PASSWORD)
    assert not ada.emailaddress_set.exists()


def test_secret_of_an_authenticator_app_is_not_shown(admin_client):
    app = create_user(1).authenticator_set.get()

    page = admin_client.get(reverse("admin:mfa_authenticator_change", args=[app.pk]))

    assert page.status_code == 200
    assert app.data["secret"] not in page.text
