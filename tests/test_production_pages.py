"""What the pages that strangers see are like in production, as tools see them."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import TEMPLATE
from visitor import (
    ARGUMENTS,
    chromium_paths,
    need,
    npm_tool,
    thorough_visitor,
    validate,
)

PAGES = ["/", "/accounts/login/", "/accounts/signup/"]


def lighthouse(url, report):
    """Return the score of each category, 0 where it failed, and what cost points."""
    binary, _ = chromium_paths()
    need(node := shutil.which("node"), "node on PATH")
    flags = " ".join(f"--{argument}" for argument in ARGUMENTS)
    command = [
        *(node, npm_tool("lighthouse/cli/index.js"), url, f"--chrome-flags={flags}"),
        "--only-categories=performance,accessibility,best-practices,seo",
        *("--output=json", f"--output-path={report}", "--quiet"),
    ]
    subprocess.run(command, env={**os.environ, "CHROME_PATH": binary}, check=False)
    found = json.loads(report.read_text("utf-8"))
    scores = {name: entry["score"] or 0 for name, entry in found["categories"].items()}
    faults = [
        f"{audit['title']} {audit.get('displayValue', '')}"
        for audit in found["audits"].values()
        if audit["score"] not in {None, 1}
    ]
    return scores, faults


@pytest.mark.parametrize("path", PAGES)
def test_lighthouse_is_content(production_site, path, tmp_path):
    # What else the machine does costs it speed, or its trace: the best of three counts.
    for _ in range(3):
        scores, faults = lighthouse(production_site.origin + path, tmp_path / "report")
        if scores["performance"] >= 0.98:
            break

    assert scores.pop("performance") >= 0.98, faults
    assert set(scores.values()) == {1}, faults


def test_the_style_sheet_is_valid():
    (sheet,) = TEMPLATE.glob("*/static/site.css")

    validate(sheet, "--css")


def test_error_pages_lead_to_the_front_page(production_site, chromium, tmp_path):
    with thorough_visitor(chromium, production_site.origin, tmp_path) as visitor:
        visitor.visit("/nowhere/", status=404)
        visitor.press("Go to the front page")
        assert visitor.path == "/"

        visitor.visit("/accounts/login/")
        chromium.delete_all_cookies()
        visitor.fill(login="ada@example.com", password="anything")
        visitor.press("Sign In", status=403)
        assert "This form has expired" in visitor.text
