"""The development server in Chromium."""

import pytest
from support.browser import Visitor
from support.server import wait_until
from support.template import DEFAULTS

pytestmark = pytest.mark.browser


def test_home_page_has_no_errors_and_shows_the_checks(chromium, development_site):
    visitor = Visitor(chromium, development_site.origin)

    visitor.visit("/")

    assert f"Welcome to {DEFAULTS['project_name']}" in visitor.text
    assert "reachable" in visitor.text
    assert "all applied" in visitor.text


@pytest.mark.parametrize("file", ["templates/pages/home.html", "static/site.css"])
def test_open_page_is_reloaded_when_a_file_is_saved(chromium, development_site, file):
    visitor = Visitor(chromium, development_site.origin)
    visitor.visit("/")
    chromium.execute_script("window.isOldPage = true")

    path = development_site.folder / file
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")

    wait_until(
        lambda: not chromium.execute_script("return window.isOldPage"),
        "The page was not reloaded.",
    )
