from datetime import datetime

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone


@pytest.mark.django_db
def test_home_page_has_the_name_of_the_site(client):
    response = client.get("/")

    assert response.status_code == 200
    assert response.context["SITE"] == settings.SITE


@pytest.mark.django_db
def test_home_page_shows_the_checks_with_debug(client, settings):
    settings.DEBUG = True

    content = client.get("/").content.decode()

    assert "reachable" in content
    assert "all applied" in content


@pytest.mark.django_db
def test_home_page_shows_no_checks_without_debug(client):
    assert "Python" not in client.get("/").content.decode()


def test_home_page_is_shown_without_a_database(client, settings, monkeypatch):
    def refuse(*args):
        raise OperationalError("connection refused")

    settings.DEBUG = True
    monkeypatch.setattr("pages.views.MigrationExecutor", refuse)

    assert "does not respond" in client.get("/").content.decode()


def test_favicon_ico_redirects_to_the_svg(client):
    assert client.get("/favicon.ico").headers["Location"].endswith("favicon.svg")


def test_content_security_policy_allows_only_this_site(client):
    policy = client.get("/favicon.ico").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_navigation_depends_on_the_user(client, admin_client, ada):
    assert "Sign Up" in client.get("/").text
    assert "Admin" in admin_client.get("/").text

    client.force_login(ada)
    page = client.get("/").text

    assert "Sign Out" in page
    assert "Sign Up" not in page
    assert "Admin" not in page


# These tests have no database: error pages must not need it.


def test_not_found_page_is_shown(client):
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert response.templates[0].name == "404.html"


def test_bad_request_page_is_shown_for_another_host(client):
    response = client.get("/", headers={"host": "other.example.com"})

    assert response.status_code == 400
    assert response.templates[0].name == "400.html"


def test_csrf_failure_page_is_shown():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/")

    assert response.status_code == 403
    assert response.templates[0].name == "403_csrf.html"


def test_server_error_page_is_shown(client, monkeypatch):
    client.raise_request_exception = False
    monkeypatch.delattr("pages.views.redirect")

    response = client.get("/favicon.ico")

    assert response.status_code == 500
    assert response.templates[0].name == "500.html"


def test_manifest_has_the_name_of_the_site(client):
    response = client.get("/manifest.webmanifest")

    assert response.headers["Content-Type"] == "application/manifest+json"
    assert response.json()["name"] == settings.SITE["name"]


def test_robots_txt_disallows_only_the_admin(client):
    assert client.get("/robots.txt").text == "User-agent: *\nDisallow: /admin/\n"


def test_security_txt_has_a_contact_and_is_not_expired(client):
    contact, expires = client.get("/.well-known/security.txt").text.splitlines()

    assert contact == f"Contact: mailto:{settings.SITE['email']}"
    assert datetime.fromisoformat(expires.partition(" ")[2]) > timezone.now()
