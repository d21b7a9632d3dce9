"""The question `frontend`: each answer in Chromium, under the Content-Security-Policy."""

import pytest
from selenium.webdriver.common.by import By
from support.browser import Visitor
from support.project import copy_project
from support.server import wait_until
from support.site import in_development, in_production

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("serve", [in_development, in_production])
def test_htmx_updates_a_part_of_the_page(bake, tmp_path, chromium, serve):
    project = copy_project(bake(bootstrap=True, frontend="htmx"), tmp_path)
    with serve(project) as site:
        visitor = Visitor(chromium, site.origin)
        visitor.visit("/counter/")
        chromium.execute_script("window.isSamePage = true")

        chromium.find_element(By.XPATH, "//button[.='Count']").click()

        wait_until(
            lambda: chromium.find_element(By.ID, "count").text == "1",
            lambda: f"It does not count:\n{visitor.text}",
        )
        visitor.check_page()
        assert chromium.execute_script("return window.isSamePage")
        visitor.visit("/counter/")
        assert chromium.find_element(By.ID, "count").text == "1"
