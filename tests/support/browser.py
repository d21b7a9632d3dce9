"""Chromium, a person who uses it, and the tools that check pages."""

import contextlib
import json
import shutil
import subprocess
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from .server import wait_until
from .tools import find_npm_file, find_program, need

ARGUMENTS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-dev-shm-usage",
    "disable-sync",
    # The certificate of site.tls_proxy is not from an authority that Chromium trusts.
    "ignore-certificate-errors",
)

RUN_AXE = """
const done = arguments[0];
Promise.allSettled(document.getAnimations().map(animation => animation.finished))
  .then(() => axe.run(document, {resultTypes: ["violations"]}))
  .then(({violations}) => violations.map(({id, nodes}) =>
    [id, ...nodes.map(node => node.html + " " + node.failureSummary)].join(" ")))
  .then(done, error => done([String(error)]));
"""

IS_TOO_WIDE = """
const page = document.documentElement;
return page.scrollWidth > page.clientWidth;
"""


def find_chromium():
    """Return the paths of Chromium and of its driver."""
    names = "chromium", "google-chrome"
    binary = next(filter(None, map(shutil.which, names)), None)
    return need(binary, "chromium"), find_program("chromedriver")


def start_chromium(profile):
    """Return a headless Chromium, driven by Selenium, that records what it does."""
    binary, driver = find_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    options.add_experimental_option("perfLoggingPrefs", {"enablePage": False})
    for argument in (*ARGUMENTS, f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


class Visitor:
    """
    A new visitor without cookies, who checks each page that is loaded.

    `axe` is the source of axe-core. With it, each new page is checked for accessibility
    as well, in light and in dark, on a wide and on a narrow screen; its path and the HTML
    that was sent are added to `pages`, by its text.

    `blocked` are the beginnings of URLs that the policy of the pages may block.
    """

    def __init__(self, chrome, origin, axe=None, blocked=()):
        self.chrome = chrome
        self.origin = origin
        self.axe = axe
        self.blocked = blocked
        self.pages = {}
        chrome.get("about:blank")
        if chrome.virtual_authenticator_id:
            chrome.remove_virtual_authenticator()
        chrome.execute_cdp_cmd("Network.clearBrowserCookies", {})
        chrome.execute_cdp_cmd("Network.clearBrowserCache", {})
        self.allow_scripts(True)
        for log in chrome.log_types:
            chrome.get_log(log)

    @property
    def path(self):
        return urlsplit(self.chrome.current_url).path

    @property
    def text(self):
        return self.chrome.find_element(By.TAG_NAME, "body").text

    def visit(self, path, status=200):
        """Load a path of the site, or a URL, and check the page."""
        self.chrome.get(path if path.startswith("http") else self.origin + path)
        self.check_page(status)

    def fill(self, **fields):
        """Type into the fields of a form, given by name."""
        for name, value in fields.items():
            field = self.chrome.find_element(By.NAME, name)
            field.clear()
            field.send_keys(value)

    def check(self, name):
        """Check the checkbox with this name."""
        self.chrome.find_element(By.NAME, name).click()

    def press(self, label, status=200):
        """
        Click a button or link; wait for the next page and check it.

        Buttons in the page's main part come before links, and both before the rest.
        """
        named = f"[normalize-space()='{label}']"
        places = (
            f"//main//button{named}",
            f"//main//a{named}",
            f"//button{named} | //a{named} | //input[@value='{label}']",
        )
        found = [
            element
            for place in places
            for element in self.chrome.find_elements(By.XPATH, place)
        ]
        assert found, f"{label!r} is not on {self.path}:\n{self.text}"
        self.chrome.execute_script("window.isLeft = true")
        found[0].click()
        wait_until(
            lambda: self.chrome.execute_script(
                "return !window.isLeft && document.readyState == 'complete'"
            ),
            lambda: f"{label!r} on {self.path} does not load a page:\n{self.text}",
        )
        self.check_page(status)

    def check_page(self, status=200):
        """Fail if the page has another status, or if the browser reports an error."""
        where = f"{self.path} ({self.chrome.title})"
        errors = [
            entry["message"]
            for entry in self.chrome.get_log("browser")
            if entry["level"] != "DEBUG"
            and not (status >= 400 and f"status of {status}" in entry["message"])
            and not any(f"'{url}" in entry["message"] for url in self.blocked)
        ]
        document = None
        unwanted = {}
        for event in self.events():
            parameters = event["params"]
            match event["method"]:
                case "Network.requestWillBeSent":
                    url = parameters["request"]["url"]
                    if not url.startswith((self.origin, "data:", "blob:")):
                        unwanted[parameters["requestId"]] = url
                case "Network.responseReceived":
                    response = parameters["response"]
                    if parameters["type"] == "Document":
                        document = parameters["requestId"]
                        if response["status"] != status:
                            errors.append(f"Status {response['status']}")
                    elif response["status"] >= 400:
                        errors.append(f"{response['status']}: {response['url']}")
                case "Network.loadingFailed" if not parameters.get("canceled"):
                    if parameters.get("blockedReason") == "csp":
                        unwanted.pop(parameters["requestId"], None)
                        continue  # The console has an error as well.
                    errors.append(f"{parameters['errorText']} {parameters}")
        errors += [f"Requests {url}" for url in unwanted.values()]
        text = self.text
        if self.axe and text not in self.pages:
            body = self.chrome.execute_cdp_cmd(
                "Network.getResponseBody", {"requestId": document}
            )
            self.pages[text] = (self.path, body["body"])
            self.chrome.execute_script(self.axe)
            for theme, width in (("light", 1280), ("dark", 320)):
                self.set_view(theme, width)
                violations = self.chrome.execute_async_script(RUN_AXE)
                errors += [f"{theme}: {violation}" for violation in violations]
            if self.chrome.execute_script(IS_TOO_WIDE):
                errors.append("Wider than 320 pixels")
            self.set_view("light", 1280)
        assert not errors, "\n".join([where, *errors])

    def events(self):
        """Return the network events since the last call."""
        for entry in self.chrome.get_log("performance"):
            yield json.loads(entry["message"])["message"]

    def set_view(self, theme, width):
        """Show pages in the theme "light" or "dark", `width` pixels wide."""
        feature = {"name": "prefers-color-scheme", "value": theme}
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        for setting, values in (
            ("setEmulatedMedia", {"features": [feature]}),
            ("setDeviceMetricsOverride", size),
        ):
            self.chrome.execute_cdp_cmd(f"Emulation.{setting}", values)

    def allow_scripts(self, allowed):
        """Turn the JavaScript of pages on or off."""
        self.chrome.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": not allowed}
        )

    def add_authenticator(self):
        """Add a device that stores passkeys and confirms every request."""
        self.chrome.add_virtual_authenticator(
            VirtualAuthenticatorOptions(
                transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
                has_resident_key=True,
                has_user_verification=True,
                is_user_verified=True,
            )
        )


@contextlib.contextmanager
def thorough_visitor(chrome, origin, folder):
    """Yield a Visitor with axe; then validate the HTML of the pages that it loaded."""
    visitor = Visitor(
        chrome, origin, find_npm_file("axe-core/axe.min.js").read_text("utf-8")
    )
    yield visitor
    for number, (path, page) in enumerate(visitor.pages.values()):
        name = f"{number:02}{path.replace('/', '-')}.html"
        (folder / name).write_text(page, "utf-8")
    validate(folder)


def validate(path, *options):
    """Fail if the W3C's validator finds an error in a file or in a folder of files."""
    vnu = find_npm_file("vnu-jar/build/dist/vnu.jar")
    result = subprocess.run(
        [find_program("java"), "-jar", vnu, "--errors-only", *options, path],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
