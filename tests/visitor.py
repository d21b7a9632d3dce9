"""A person at Chromium, who looks at every page and notices whatever is wrong."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import wait_until
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

NODE_MODULES = Path(__file__).parent / "node_modules"

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
    # The certificate of stand_ins.tls_proxy is nobody's.
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


def need(found, what):
    """Skip the test where `what` was not found, or fail it where it may not skip."""
    if not found:
        assert not os.environ.get("REQUIRE_BROWSER_TOOLS"), f"Not found: {what}."
        pytest.skip(f"needs {what}")


def chromium_paths():
    """Return where Chromium and its driver are; skip the test without them."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    need(binary and driver, "chromium and chromedriver on PATH")
    return binary, driver


def npm_tool(path):
    """Return the path of a file of the packages in package.json, or skip the test."""
    need((NODE_MODULES / path).exists(), "what tests/package.json says to install")
    return NODE_MODULES / path


def start_chromium(profile):
    """Return a headless Chromium, driven by Selenium, that records what it does."""
    binary, driver = chromium_paths()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    options.add_experimental_option("perfLoggingPrefs", {"enablePage": False})
    for argument in (*ARGUMENTS, f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


class Visitor:
    """Somebody new, with no cookies yet, who looks at each page that comes.

    With the source of `axe`, that looks too, in light and in dark, on a phone as well,
    at each page that is new, whose path and HTML, as it was sent, are kept in `pages`
    by its text.
    """

    def __init__(self, chrome, origin, axe=None):
        self.chrome = chrome
        self.origin = origin
        self.axe = axe
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
        """Type an address of the site, or follow one that was sent by e-mail."""
        self.chrome.get(path if path.startswith("http") else self.origin + path)
        self.look(status)

    def fill(self, **fields):
        """Type into the fields of the form, by their names."""
        for name, value in fields.items():
            field = self.chrome.find_element(By.NAME, name)
            field.clear()
            field.send_keys(value)

    def check(self, name):
        """Tick the box of this name."""
        self.chrome.find_element(By.NAME, name).click()

    def press(self, label, status=200):
        """Click what is called `label`, first of all a button; another page comes."""
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
            lambda: f"{label!r} leads nowhere from {self.path}:\n{self.text}",
        )
        self.look(status)

    def look(self, status=200):
        """Fail if anything is wrong with the page, which should have this status."""
        where = f"{self.path} ({self.chrome.title})"
        complaints = [
            entry["message"]
            for entry in self.chrome.get_log("browser")
            if entry["level"] != "DEBUG"
            and not (status >= 400 and f"status of {status}" in entry["message"])
        ]
        document = None
        for event in self.events():
            parameters = event["params"]
            match event["method"]:
                case "Network.requestWillBeSent":
                    url = parameters["request"]["url"]
                    if not url.startswith((self.origin, "data:")):
                        complaints.append(f"It asks {url}.")
                case "Network.responseReceived":
                    response = parameters["response"]
                    if parameters["type"] == "Document":
                        document = parameters["requestId"]
                        if response["status"] != status:
                            complaints.append(f"Its status is {response['status']}.")
                    elif response["status"] >= 400:
                        complaints.append(f"{response['status']}: {response['url']}")
                case "Network.loadingFailed" if not parameters.get("canceled"):
                    complaints.append(f"{parameters['errorText']} {parameters}")
        text = self.text
        if self.axe and text not in self.pages:
            body = self.chrome.execute_cdp_cmd(
                "Network.getResponseBody", {"requestId": document}
            )
            self.pages[text] = (self.path, body["body"])
            self.chrome.execute_script(self.axe)
            for theme, width in (("light", 1280), ("dark", 320)):
                self.see(theme, width)
                violations = self.chrome.execute_async_script(RUN_AXE)
                complaints += [f"{theme}: {violation}" for violation in violations]
            if self.chrome.execute_script(IS_TOO_WIDE):
                complaints.append("It does not fit into 320 pixels.")
            self.see("light", 1280)
        assert not complaints, "\n".join([where, *complaints])

    def events(self):
        """Return what the network did since last asked."""
        for entry in self.chrome.get_log("performance"):
            yield json.loads(entry["message"])["message"]

    def see(self, theme, width):
        """Look at pages in "light" or in "dark", in a window so many pixels wide."""
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
        """Plug in a device that keeps passkeys, whose owner agrees to everything."""
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
    """Yield a Visitor who looks at the pages with axe, and has their HTML validated."""
    visitor = Visitor(
        chrome, origin, npm_tool("axe-core/axe.min.js").read_text("utf-8")
    )
    yield visitor
    for number, (path, page) in enumerate(visitor.pages.values()):
        name = f"{number:02}{path.replace('/', '-')}.html"
        (folder / name).write_text(page, "utf-8")
    validate(folder)


def validate(path, *options):
    """Fail if the W3C's validator finds an error in a file or a folder of them."""
    need(shutil.which("java"), "java on PATH")
    vnu = npm_tool("vnu-jar/build/dist/vnu.jar")
    result = subprocess.run(
        ["java", "-jar", vnu, "--errors-only", *options, path],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
