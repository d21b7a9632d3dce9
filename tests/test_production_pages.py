"""The pages that everybody can see, in production, as Lighthouse and validators see them."""

import json
import os
import subprocess

import pytest
from support.browser import ARGUMENTS, find_chromium, thorough_visitor, validate
from support.template import TREE
from support.tools import find_npm_file, find_program

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ["/", "/accounts/login/", "/accounts/signup/"]


def lighthouse(url, report):
    """Return the score of each category, 0 if there is none, and the failed audits."""
    binary, _ = find_chromium()
    flags = " ".join(f"--{argument}" for argument in ARGUMENTS)
    command = [
        *(find_program("node"), find_npm_file("lighthouse/cli/index.js"), url),
        f"--chrome-flags={flags}",
        "--only-categories=performance,accessibility,best-practices,seo",
        *("--output=json", f"--output-path={report}", "--quiet"),
    ]
    subprocess.run(command, env={**os.environ, "CHROME_PATH": binary}, check=False)
    found = json.loads(report.read_text("utf-8"))
    scores = {name: entry["score"] or 0 for name, entry in found["categories"].items()}
    failed = [
        f"{audit['title']} {audit.get('displayValue', '')}"
        for audit in found["audits"].values()
        if audit["score"] not in {None, 1}
    ]
    return scores, failed


@pytest.mark.parametrize("path", PAGES)
def test_lighthouse_scores(production_site, path, tmp_path):
    # A busy machine slows the page down: the best of three runs counts.
    for _ in range(3):
        scores, failed = lighthouse(production_site.origin + path, tmp_path / "report")
        if scores["performance"] >= 0.98:
            break

    assert scores.pop("performance") >= 0.98, failed
    assert set(scores.values()) == {1}, failed


def test_style_sheet_is_valid():
    validate(TREE / "static" / "site.css", "--css")


def test_error_pages(production_site, chromium, tmp_path):
    with thorough_visitor(chromium, production_site.origin, tmp_path) as visitor:
        visitor.visit("/nowhere/", status=404)
        visitor.press("Go to the home page")
        assert visitor.path == "/"

        visitor.visit("/accounts/login/")
        chromium.delete_all_cookies()
        visitor.fill(login="ada@example.com", password="anything")
        visitor.press("Sign In", status=403)
        assert "This form has expired" in visitor.text
