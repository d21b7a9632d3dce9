"""What a person sees: the project in Chromium."""

import pytest
from helpers import wait_until
from visitor import Visitor


def test_home_page_is_shown_without_a_complaint(chromium, development_site):
    visitor = Visitor(chromium, development_site.origin)

    visitor.visit("/")

    assert "Welcome to My Site" in visitor.text
    assert "reachable" in visitor.text
    assert "all applied" in visitor.text


@pytest.mark.parametrize("file", ["templates/pages/home.html", "static/site.css"])
def test_a_saved_file_refreshes_the_open_page(chromium, development_site, file):
    visitor = Visitor(chromium, development_site.origin)
    visitor.visit("/")
    chromium.execute_script("window.isTheOldPage = true")

    path = development_site.folder / file
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")

    wait_until(
        lambda: not chromium.execute_script("return window.isTheOldPage"),
        "The page was not refreshed.",
    )
