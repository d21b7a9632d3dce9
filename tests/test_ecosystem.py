"""Packages with pages of their own, installed as their documentation says, in Chromium."""

import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
from filelock import FileLock
from selenium.webdriver.common.by import By
from support.browser import Visitor
from support.markdown import apply_diff, blocks
from support.project import copy_project, run
from support.server import wait_until
from support.site import in_development, in_production

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REQUIREMENTS = (
    "django-debug-toolbar",
    "django-decorator-include",
    "django-import-export",
    "django-jazzmin",
    "django-ninja",
    "django-silk",
    "django-unfold",
    "drf-spectacular[sidecar]",
)

# Redoc shows the logo of its maker, from a site of theirs.
LOGO_OF_REDOC = "https://cdn.redoc.ly/redoc/logo-mini.svg"

# Takes a selector, or the selectors of a host and of an element in its shadow root.
IS_ON_TOP = """
const [host, inner] = arguments[0].split(" >>> ");
const scope = inner ? document.querySelector(host)?.shadowRoot : document;
return [...(scope?.querySelectorAll(inner ?? host) ?? [])].some(element => {
  element.scrollIntoView({block: "center"});
  const {left, top, width, height} = element.getBoundingClientRect();
  const topmost = scope.elementFromPoint(left + width / 2, top + height / 2);
  return width > 0 && element.contains(topmost);
});
"""


@dataclass
class Package:
    """
    A package, and what its documentation says to add to the files of the project.

    `pages` has paths, each with the selector of an element that the page must show.
    `loosens` tells whether the lines of the README that loosen the policy are needed.
    `blocked` are files of other sites that the pages want and work without.
    """

    pages: dict[str, str]
    settings: str = ""
    urls: str = ""
    admin: str = ""
    loosens: bool = False
    blocked: tuple[str, ...] = ()


ADMIN_PAGES = {
    "/admin/": 'a[href="/admin/accounts/user/"]',
    "/admin/accounts/user/": "#result_list",
    "/admin/accounts/user/1/change/": "[name=email]",
}

PACKAGES = {
    "drf-spectacular": Package(
        {
            "/api/schema/swagger-ui/": ".opblock-get",
            "/api/schema/redoc/": "[id$='operation/hello_retrieve'] h2",
            "/api/hello/": ".response-info",  # The browsable API of REST framework.
        },
        """
INSTALLED_APPS += ["rest_framework", "drf_spectacular", "drf_spectacular_sidecar"]
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
""",
        """
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerView,
)
from rest_framework.decorators import api_view
from rest_framework.response import Response


@extend_schema(responses=str)
@api_view()
def hello(request):
    return Response("Hello")


api = [
    path("hello/", hello),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("schema/swagger-ui/", SpectacularSwaggerView.as_view(url_name="schema")),
    path("schema/redoc/", SpectacularRedocView.as_view(url_name="schema")),
]
urlpatterns += [path("api/", decorator_include(csp_override(POLICY), api))]
""",
        loosens=True,
        blocked=("https://fonts.googleapis.com/", LOGO_OF_REDOC),
    ),
    "django-ninja": Package(
        {"/api/docs": ".opblock-get"},
        'INSTALLED_APPS += ["ninja"]',
        """
from ninja import NinjaAPI

api = NinjaAPI()


@api.get("/add")
def add(request, a: int, b: int):
    return {"result": a + b}


urlpatterns += [path("api/", api.urls)]
""",
    ),
    "django-ninja with Redoc": Package(
        {"/api/docs": "[id$='_add'] h2"},
        'INSTALLED_APPS += ["ninja"]',
        """
from ninja import NinjaAPI, Redoc

api = NinjaAPI(docs=Redoc())


@api.get("/add")
def add(request, a: int, b: int):
    return {"result": a + b}


urlpatterns += [path("api/", decorator_include(csp_override(POLICY), api.urls))]
""",
        loosens=True,
        blocked=(LOGO_OF_REDOC,),
    ),
    "django-unfold": Package(
        ADMIN_PAGES, 'INSTALLED_APPS = ["unfold", *INSTALLED_APPS]', loosens=True
    ),
    "django-jazzmin": Package(
        ADMIN_PAGES,
        'INSTALLED_APPS = ["jazzmin", *INSTALLED_APPS]',
        loosens=True,
        blocked=("https://fonts.googleapis.com/",),
    ),
    "django-silk": Package(
        {"/silk/": ".summary-cell", "/silk/requests/": ".cell"},
        """
MIDDLEWARE += ["silk.middleware.SilkyMiddleware"]
INSTALLED_APPS += ["silk"]
""",
        """
silk = decorator_include(csp_override(POLICY), "silk.urls", namespace="silk")
urlpatterns += [path("silk/", silk)]
""",
        loosens=True,
    ),
    "django-import-export": Package(
        {
            "/admin/accounts/user/import/": "[name=format]",
            "/admin/accounts/user/export/": "[name=format]",
        },
        'INSTALLED_APPS += ["import_export"]',
        admin="""
from import_export.admin import ImportExportModelAdmin

admin.site.unregister(User)


@admin.register(User)
class ImportExportUserAdmin(ImportExportModelAdmin, UserAdmin):
    pass
""",
        loosens=True,
    ),
    "django-debug-toolbar": Package(
        dict.fromkeys(("/", "/admin/"), "#djDebugRoot >>> #djDebugToolbar"),
        """
if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
    MIDDLEWARE.insert(0, "debug_toolbar.middleware.DebugToolbarMiddleware")
    INTERNAL_IPS = ["127.0.0.1"]
""",
        """
if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
""",
    ),
}

MODES = {"development": in_development, "production": in_production}


@pytest.fixture(scope="module")
def installed(bake, shared_folder):
    """Return a project in whose environment the packages are. Do not change it."""
    folder = shared_folder / "ecosystem" / bake().name
    with FileLock(shared_folder / "ecosystem.lock"):
        if not folder.exists():
            ignored = shutil.ignore_patterns(".git")
            shutil.copytree(bake(), folder, ignore=ignored)
            subprocess.run(
                [sys.executable, "scripts/bootstrap.py"], cwd=folder, check=True
            )
            status, output = run(folder, "-m", "uv", "add", *REQUIREMENTS)
            assert status == 0, output
    return folder


def add_package(installed, folder, package):
    """Copy the project into `folder`, add a package, and return the copy."""
    project = copy_project(installed, folder)
    if package.loosens:
        loosen_policy(project)
    for name, text in (
        (f"{project.name}/settings.py", package.settings),
        (f"{project.name}/urls.py", package.urls),
        ("accounts/admin.py", package.admin),
    ):
        with (project / name).open("a", encoding="utf-8") as file:
            file.write(text)
    status, output = run(project, "manage.py", "migrate")
    assert status == 0, output
    return project


def loosen_policy(project):
    """Apply the lines of the README that loosen the policy for the URLs of a prefix."""
    urls = project / project.name / "urls.py"
    (diff,) = (
        block.text
        for block in blocks((project / "README.md").read_text("utf-8"))
        if block.section == "Loosen the Content-Security-Policy"
        and block.language == "diff"
        and block.file == f"{project.name}/urls.py"
    )
    urls.write_text(apply_diff(urls.read_text("utf-8"), diff), "utf-8")


def log_in(site, chromium):
    """Create a superuser, and log in at the admin without any check of the pages."""
    site.create_superuser("ada@example.com", "correct horse battery")
    chromium.get(f"{site.origin}/admin/")
    assert "/accounts/login/" in chromium.current_url
    for name, value in (
        ("login", "ada@example.com"),
        ("password", "correct horse battery"),
    ):
        chromium.find_element(By.NAME, name).send_keys(value)
    chromium.find_element(By.NAME, "password").submit()
    wait_until(
        lambda: chromium.current_url == f"{site.origin}/admin/", "The log-in failed."
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PACKAGES)
def test_pages_of_package(name, mode, installed, chromium, tmp_path):
    package = PACKAGES[name]
    if name == "django-debug-toolbar" and mode == "production":
        pytest.skip("The toolbar is for development only.")

    with MODES[mode](add_package(installed, tmp_path, package)) as site:
        visitor = Visitor(chromium, site.origin, blocked=package.blocked)
        visitor.set_view("light", 1280)
        log_in(site, chromium)
        visitor.check_page()
        for path, selector in package.pages.items():
            visitor.visit(path)
            wait_until(
                lambda selector=selector: chromium.execute_script(IS_ON_TOP, selector),
                f"{path} does not show {selector}.",
            )
            visitor.check_page()


def test_blocked_scripts_are_logged_in_development(installed, chromium, tmp_path):
    package = PACKAGES["django-unfold"]
    unchanged = Package(package.pages, package.settings)

    with in_development(add_package(installed, tmp_path, unchanged)) as site:
        visitor = Visitor(chromium, site.origin)
        log_in(site, chromium)
        with pytest.raises(AssertionError, match="Content Security Policy directive"):
            visitor.visit("/admin/accounts/user/")
        assert not chromium.execute_script(IS_ON_TOP, "#result_list")
        wait_until(
            lambda: "The Content-Security-Policy blocked eval on" in site.log(),
            lambda: site.log(),
        )


def test_checks_accept_the_lines_of_the_readme(installed, tmp_path):
    project = copy_project(installed, tmp_path)
    loosen_policy(project)

    status, output = run(project, "scripts/check.py", "lint", "format", "types")

    assert status == 0, output
