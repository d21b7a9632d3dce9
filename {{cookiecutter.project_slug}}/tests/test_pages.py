import pytest
from django.conf import settings
from django.db import OperationalError


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
