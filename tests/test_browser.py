"""What a person sees: the project in Chromium."""

import os
import re
import shutil
import subprocess

import pytest
from helpers import free_port, python_of, wait_until

PASSWORD = "correct horse battery"


@pytest.fixture
def browser(tmp_path):
    """Return a headless Chromium, driven by Selenium."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        assert not os.environ.get("REQUIRE_CHROMIUM"), "Chromium is not installed."
        pytest.skip("needs chromium and chromedriver on PATH")

    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-dev-shm-usage",
        "disable-sync",
        f"user-data-dir={tmp_path / 'chromium'}",
    ):
        options.add_argument(f"--{argument}")
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def site(workspace, serve):
    """Return the address of a copy of the project, served by its dev.py."""
    server = serve(
        [python_of(workspace), "scripts/dev.py", "--port", str(free_port())],
        cwd=workspace,
    )
    match = wait_until(
        lambda: re.search(r"http://127\.0\.0\.1:\d+", server.output),
        lambda: f"No address was printed:\n{server.output}",
    )
    server.wait_until_it_answers(match[0])
    return match[0]


def console(browser):
    """Return what the page complained of, less what Chromium says in passing."""
    return [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"]


def fill(browser, **fields):
    for name, value in fields.items():
        browser.find_element("name", name).send_keys(value)
    browser.find_element("css selector", "[type=submit]").click()


def test_home_page_is_shown_without_a_complaint_in_the_console(browser, site):
    browser.get(site)

    assert browser.find_element("tag name", "h1").text == "Welcome to My Site"
    assert "reachable" in browser.page_source
    assert "all applied" in browser.page_source
    assert console(browser) == []


def test_a_superuser_logs_in_to_the_admin(browser, site, workspace):
    subprocess.run(
        [
            python_of(workspace),
            *("manage.py", "createsuperuser", "--no-input"),
            *("--email", "ada@example.com"),
        ],
        cwd=workspace,
        env={**os.environ, "DJANGO_SUPERUSER_PASSWORD": PASSWORD},
        check=True,
    )

    browser.get(f"{site}/admin/")
    fill(browser, username="ada@example.com", password=PASSWORD)

    assert "Site administration" in browser.page_source
    assert "ada@example.com" in browser.page_source
    assert console(browser) == []


@pytest.mark.parametrize("file", ["templates/pages/home.html", "static/site.css"])
def test_a_saved_file_refreshes_the_open_page(browser, site, workspace, file):
    browser.get(site)
    browser.execute_script("window.isTheOldPage = true")

    path = workspace / file
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")

    wait_until(
        lambda: not browser.execute_script("return window.isTheOldPage"),
        "The page was not refreshed.",
    )
