"""The API of a project in production: its schema and its interactive documentation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.by import By
from support.browser import Visitor
from support.project import copy_project
from support.server import wait_until
from support.site import in_production
from support.template import CHOICES

pytestmark = pytest.mark.slow

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


@pytest.fixture(
    scope="module", params=[answer for answer in CHOICES["api"] if answer != "none"]
)
def site(request, bake, tmp_path_factory):
    """Return the Site of a project with the API, whose user is EMAIL."""
    project = bake(bootstrap=True, api=request.param)
    project = copy_project(project, tmp_path_factory.mktemp("api"))
    settings = project / project.name / "settings.py"
    text = settings.read_text("utf-8")
    assert text.count('"100/min"') == 1
    # The tests send more requests.
    settings.write_text(text.replace('"100/min"', '"100000/min"'), "utf-8")
    with in_production(project) as site:
        site.create_superuser(EMAIL, PASSWORD)
        yield site


def test_responses_conform_to_the_schema(site, tmp_path):
    response = requests.post(
        f"{site.origin}/_allauth/app/v1/auth/login",
        json={"email": EMAIL, "password": PASSWORD},
        verify=False,
    )
    token = response.json()["meta"]["session_token"]

    result = subprocess.run(
        [
            shutil.which("st", path=Path(sys.executable).parent),
            "run",
            f"{site.origin}/api/v1/openapi.json",
            f"--header=X-Session-Token:{token}",
            f"--checks={','.join(CHECKS)}",
            "--phases=examples,coverage,fuzzing",
            "--max-examples=50",
            "--suppress-health-check=all",
            "--tls-verify=false",
        ],
        cwd=tmp_path,  # It keeps a database of examples there.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert result.returncode == 0, result.stdout


@pytest.mark.browser
def test_documentation_sends_requests_of_the_user(site, chromium):
    visitor = Visitor(chromium, site.origin)
    visitor.visit("/accounts/login/")
    visitor.fill(login=EMAIL, password=PASSWORD)
    visitor.press("Sign In")

    visitor.visit("/api/v1/docs")
    operations = wait_until(
        lambda: chromium.find_elements(By.CLASS_NAME, "opblock"),
        lambda: f"No operations are shown:\n{visitor.text}",
    )

    for operation in operations:
        for name in ("opblock-summary-control", "try-out__btn", "execute"):
            press(operation, name)
        response = find(operation, "live-responses-table")
        assert "200" in response.text
    visitor.check_page()


def find(operation, name):
    """Wait until an operation has an element of this class; return the first."""
    return wait_until(
        lambda: operation.find_elements(By.CLASS_NAME, name), f"{name} is not shown"
    )[0]


def press(operation, name):
    button = find(operation, name)
    # Not button.click(), which fails while the page moves.
    button.parent.execute_script("arguments[0].click()", button)
