"""What a person sees: the project in Chromium."""

import pytest
from helpers import wait_until
from sites import in_development
from visitor import Visitor

PASSWORD = "correct horse battery"


@pytest.fixture
def site(workspace):
    with in_development(workspace) as site:
        yield site


@pytest.fixture
def visitor(chromium, site):
    return Visitor(chromium, site.origin)


def test_home_page_is_shown_without_a_complaint(visitor):
    visitor.visit("/")

    assert "Welcome to My Site" in visitor.text
    assert "reachable" in visitor.text
    assert "all applied" in visitor.text


def test_a_superuser_logs_in_to_the_admin(visitor, site):
    site.manage(
        *("createsuperuser", "--no-input", "--email", "ada@example.com"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )

    visitor.visit("/admin/")
    visitor.fill(login="ada@example.com", password=PASSWORD)
    visitor.press("Sign In")

    assert "Site administration" in visitor.text


@pytest.mark.parametrize("file", ["templates/pages/home.html", "static/site.css"])
def test_a_saved_file_refreshes_the_open_page(visitor, site, file):
    visitor.visit("/")
    visitor.chrome.execute_script("window.isTheOldPage = true")

    path = site.folder / file
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")

    wait_until(
        lambda: not visitor.chrome.execute_script("return window.isTheOldPage"),
        "The page was not refreshed.",
    )
