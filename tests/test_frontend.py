"""The question `frontend`: each answer in Chromium, under the Content-Security-Policy."""

import re
import shutil
import signal
import sys

import pytest
from selenium.webdriver.common.by import By
from support.browser import Visitor
from support.project import copy_project, run
from support.server import fetch, free_port, wait_until
from support.site import PRODUCTION, in_development, in_production
from support.tools import check, need

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
            lambda: chromium.find_elements(By.XPATH, "//*[@id='count'][.='1']"),
            lambda: f"It does not count:\n{visitor.text}",
        )
        visitor.check_page()
        assert chromium.execute_script("return window.isSamePage")
        visitor.visit("/counter/")
        assert chromium.find_element(By.ID, "count").text == "1"


@pytest.fixture
def vite_project(bake, tmp_path):
    """Return a project with Vite, which the test may change."""
    need(shutil.which("npm"), "npm")
    project = copy_project(bake(bootstrap=True, frontend="vite"), tmp_path)
    assert (project / "node_modules" / "vite").is_dir()
    home = project / "templates" / "pages" / "home.html"
    text = home.read_text("utf-8")
    home.write_text(text.replace("<h1>", '<h1 class="uppercase">'), "utf-8")
    return project


def style_of_title(chromium, name):
    """Return a property of the page's title; the page may be reloaded at any time."""
    script = "return getComputedStyle(document.querySelector('h1') ?? document.body)"
    return chromium.execute_script(f"{script}[arguments[0]]", name)


def test_saved_tailwind_class_shows_without_a_reload_by_hand(vite_project, chromium):
    home = vite_project / "templates" / "pages" / "home.html"
    with in_development(vite_project) as site:
        server = re.search(r"127\.0\.0\.1:\d+", fetch(site.origin)[2])[0]
        wait_until(lambda: fetch(f"http://{server}/static/dist/main.css"), site.log)
        chromium.get(site.origin)
        wait_until(
            lambda: style_of_title(chromium, "text-transform") == "uppercase", site.log
        )

        text = home.read_text("utf-8").replace('"uppercase"', '"tracking-[7px]"')
        home.write_text(text, "utf-8")

        wait_until(
            lambda: style_of_title(chromium, "letter-spacing") == "7px",
            lambda: f"The class does not show:\n{site.log()}",
        )
        assert style_of_title(chromium, "text-transform") == "none"
        assert "blocked" not in site.log()
        policy = fetch(site.origin)[1]["Content-Security-Policy"]
        for source in (
            *(f"script-src 'self' 'nonce-[^']+' http://{server};",),
            *(f"style-src 'self' 'nonce-[^']+' http://{server};",),
            f"connect-src 'self' ws://{server}(;|$)",
        ):
            assert re.search(source, policy), policy


def test_built_files_are_immutable_and_allowed_in_production(vite_project, chromium):
    (vite_project / "frontend" / "main.js").write_text(
        'import("./late.js").then(late => late.mark());\n'
        "document.documentElement.dataset.loads ??= 0;\n"
        "document.documentElement.dataset.loads++;\n"
        "export const name = document.title;\n"
    )
    (vite_project / "frontend" / "late.js").write_text(
        'import "./late.css";\nimport { name } from "./main.js";\n'
        "export const mark = () => { document.documentElement.dataset.late = name };\n"
    )
    (vite_project / "frontend" / "late.css").write_text(
        "h1 { background: url('late.svg?no-inline') }\n"
    )
    shutil.copy(
        vite_project / "static" / "favicon.svg", vite_project / "frontend" / "late.svg"
    )
    check("npm", "run", "build", cwd=vite_project)

    with in_production(vite_project) as site:
        status, output = run(
            vite_project,
            *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
            env=PRODUCTION,
        )
        assert status == 0, output
        visitor = Visitor(chromium, site.origin)
        chromium.get(site.origin)
        wait_until(
            lambda: chromium.execute_script(
                "return document.documentElement.dataset.late"
            ),
            "The script that is loaded later does not run.",
        )
        wait_until(
            lambda: "late" in style_of_title(chromium, "background-image"),
            "The style that is loaded later does not show.",
        )
        urls = chromium.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        visitor.check_page()

        assert style_of_title(chromium, "text-transform") == "uppercase"
        assert (
            chromium.execute_script("return document.documentElement.dataset.loads")
            == "1"
        )
        built = [url for url in urls if "/static/dist/" in url]
        assert {url.rpartition(".")[2] for url in built} == {"css", "js", "svg"}
        for url in built:
            path = url.removeprefix(site.origin)
            cached = chromium.execute_async_script(
                "const [path, done] = arguments;"
                "fetch(path).then(r => done(r.headers.get('Cache-Control')))",
                path,
            )
            assert "immutable" in cached, url


def test_servers_end_together_and_a_dead_vite_is_reported(vite_project, serve):
    port = free_port()
    command = [sys.executable, "scripts/dev.py", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/"
    dev = serve(command, vite_project, url=url)
    vite = re.search(r"http://127\.0\.0\.1:\d+", fetch(url)[2])[0]
    wait_until(lambda: fetch(vite), dev.output)

    dev.send(signal.SIGINT)

    dev.wait()
    assert "Vite has stopped" not in dev.output
    with pytest.raises(OSError, match="refused"):
        fetch(vite)

    (vite_project / "vite.config.js").write_text("throw new Error('Broken')\n")
    dev = serve(command, vite_project, url=url)
    dev.wait_for_output("Vite has stopped: start dev.py again.")
    assert "Broken" in dev.output
    assert fetch(url)[0] == 200


def test_project_works_without_node(bake, serve, tmp_path, monkeypatch):
    project = tmp_path / "my_site"
    shutil.copytree(bake(frontend="vite"), project)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(programs))

    output = check(sys.executable, "scripts/bootstrap.py", cwd=project)
    assert output.count("Vite is not installed because it needs Node.js") == 1

    status, output = run(project, "-m", "pytest", "-q")
    assert status == 0, output
    port = free_port()
    dev = serve(
        [sys.executable, "scripts/dev.py", "--port", str(port)],
        project,
        url=f"http://127.0.0.1:{port}/",
    )
    assert "Vite is not installed: run" in dev.output
    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200
