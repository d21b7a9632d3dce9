from datetime import datetime

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone


@pytest.mark.django_db
def test_home_greets_by_the_name_of_the_site(client):
    response = client.get("/")

    assert response.status_code == 200
    assert response.context["SITE"] == settings.SITE


@pytest.mark.django_db
def test_home_tells_the_developer_how_the_project_is_doing(client, settings):
    settings.DEBUG = True

    content = client.get("/").content.decode()

    assert "reachable" in content
    assert "all applied" in content


@pytest.mark.django_db
def test_home_tells_a_visitor_nothing_of_the_kind(client):
    assert "Python" not in client.get("/").content.decode()


def test_home_shows_a_database_that_does_not_answer(client, settings, monkeypatch):
    def refuse(*args):
        raise OperationalError("connection refused")

    settings.DEBUG = True
    monkeypatch.setattr("pages.views.MigrationExecutor", refuse)

    assert "does not answer" in client.get("/").content.decode()


def test_a_page_without_an_icon_of_its_own_gets_the_one_of_the_site(client):
    assert client.get("/favicon.ico").headers["Location"].endswith("favicon.svg")


def test_only_this_site_may_style_its_pages(client):
    policy = client.get("/favicon.ico").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_the_navigation_knows_who_is_there(client, admin_client, ada):
    assert "Sign Up" in client.get("/").text
    assert "Admin" in admin_client.get("/").text

    client.force_login(ada)
    page = client.get("/").text

    assert "Sign Out" in page
    assert "Sign Up" not in page
    assert "Admin" not in page


# These have no mark that gives them a database: an error page that asked for it fails.


def test_a_page_that_is_not_there_is_said_not_to_be(client):
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert "There is no such page" in response.text


def test_a_request_for_another_site_makes_no_sense(client):
    response = client.get("/", headers={"host": "other.example.com"})

    assert response.status_code == 400
    assert "makes no sense" in response.text


def test_a_form_without_its_token_has_expired():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/")

    assert response.status_code == 403
    assert "This form has expired" in response.text


def test_an_error_is_owned_up_to(client, monkeypatch):
    client.raise_request_exception = False
    monkeypatch.delattr("pages.views.redirect")

    response = client.get("/favicon.ico")

    assert response.status_code == 500
    assert "our side" in response.text


def test_a_phone_learns_the_name_of_the_site(client):
    response = client.get("/manifest.webmanifest")

    assert response.headers["Content-Type"] == "application/manifest+json"
    assert response.json()["name"] == settings.SITE["name"]


def test_search_engines_are_kept_out_of_the_admin_alone(client):
    assert client.get("/robots.txt").text == "User-agent: *\nDisallow: /admin/\n"


def test_whoever_finds_a_weakness_learns_where_to_report_it(client):
    contact, expires = client.get("/.well-known/security.txt").text.splitlines()

    assert contact == f"Contact: mailto:{settings.SITE['email']}"
    assert datetime.fromisoformat(expires.partition(" ")[2]) > timezone.now()
