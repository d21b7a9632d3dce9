"""
What users do with their account, in Chromium. No page may report an error.

Each test runs in development, with dev.py, and in production, with plain uvicorn behind
a proxy. In production, axe and the W3C's validator check each page.
"""

import time

import pyotp
import pytest
from support.browser import Visitor, thorough_visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"
NEW_PASSWORD = "staple of the horse"


@pytest.fixture(params=["development_site", "production_site"])
def site(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def visitor(site, chromium, tmp_path):
    if site.origin.startswith("https:"):
        with thorough_visitor(chromium, site.origin, tmp_path) as visitor:
            yield visitor
    else:
        yield Visitor(chromium, site.origin)


def sign_up(visitor, site, email):
    """Sign up, and enter the code from the e-mail."""
    visitor.visit("/")
    visitor.press("Sign Up")
    visitor.fill(email=email, password1=PASSWORD, password2=PASSWORD)
    visitor.press("Sign Up")
    enter_code_from_mail(visitor, site, email)
    assert f"You have confirmed {email}." in visitor.text


def log_in(visitor, email, password=PASSWORD):
    visitor.visit("/")
    visitor.press("Sign In")
    visitor.fill(login=email, password=password)
    visitor.press("Sign In")


def log_out(visitor):
    visitor.press("Sign Out")
    assert "You have signed out." in visitor.text


def confirm_access(visitor, password=PASSWORD):
    """Enter the password again, which a change to the account requires."""
    assert visitor.path == "/accounts/reauthenticate/"
    visitor.fill(password=password)
    visitor.press("Confirm")


def add_authenticator_app(visitor):
    """Add an authenticator app; return the TOTP object that makes its codes."""
    visitor.press("Account")
    visitor.press("Two-Factor Authentication")
    visitor.press("Activate")
    confirm_access(visitor)
    image = visitor.chrome.find_element("css selector", "main img")
    assert image.get_property("naturalWidth") > 100
    secret = visitor.chrome.find_element("id", "authenticator_secret")
    app = pyotp.TOTP(secret.get_property("value"))
    visitor.fill(code=app.now())
    visitor.press("Activate")
    assert "Authenticator app activated." in visitor.text
    return app


def enter_code_from_mail(visitor, site, email):
    assert "Enter Email Verification Code" in visitor.text
    visitor.fill(code=site.find_in_mail(email, r"(?m)^\w{4}-\w{4}$"))
    visitor.press("Confirm")


def enter_code(visitor, app):
    """Enter the app's next code, since the current one may have been used."""
    assert visitor.path == "/accounts/2fa/authenticate/"
    visitor.fill(code=app.at(time.time(), counter_offset=1))
    visitor.press("Sign In")


def test_account_from_sign_up_to_deletion(site, visitor):
    email = "ada@example.com"

    sign_up(visitor, site, email)
    log_out(visitor)

    # Log in, with the password and then with an app's code as well.
    log_in(visitor, email)
    assert f"Successfully signed in as {email}." in visitor.text
    app = add_authenticator_app(visitor)
    log_out(visitor)
    log_in(visitor, email)
    enter_code(visitor, app)

    # Add a passkey, and log in without a password.
    visitor.add_authenticator()
    visitor.visit("/accounts/2fa/")
    visitor.press("Add")
    confirm_access(visitor)
    visitor.check("passwordless")
    visitor.press("Add")
    assert "Security key added." in visitor.text
    log_out(visitor)
    visitor.press("Sign In")
    visitor.press("Sign in with a passkey")
    assert f"Successfully signed in as {email}." in visitor.text
    log_out(visitor)

    # Reset the password with the link from the e-mail.
    visitor.press("Sign In")
    visitor.press("Forgot your password?")
    visitor.fill(email=email)
    visitor.press("Reset My Password")
    visitor.visit(site.find_in_mail(email, r"http\S+/password/reset/key/[\w-]+/"))
    visitor.fill(password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    visitor.press("Change Password")
    log_in(visitor, email, NEW_PASSWORD)
    visitor.press("Use a security key")

    # Close the account.
    visitor.press("Account")
    visitor.press("Close Account")
    confirm_access(visitor, NEW_PASSWORD)
    visitor.press("Close my account")
    assert "Your account is closed." in visitor.text
    log_in(visitor, email, NEW_PASSWORD)
    assert "email address and/or password" in visitor.text


def test_address_and_password_are_changed(site, visitor):
    old, new = "joan@example.com", "joan@example.org"
    site.create_superuser(old, PASSWORD)
    log_in(visitor, old)

    # The new address replaces the old one when it is verified.
    visitor.press("Account")
    visitor.fill(email=new)
    visitor.press("Change Email")
    confirm_access(visitor)
    enter_code_from_mail(visitor, site, new)
    assert f"You have confirmed {new}." in visitor.text

    visitor.press("Account")
    visitor.press("Change Password")
    visitor.fill(oldpassword=PASSWORD, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    visitor.press("Change Password")
    assert "Password successfully changed." in visitor.text
    visitor.press("Sessions")
    assert "Current" in visitor.text
    visitor.press("Sign Out")
    log_in(visitor, new, NEW_PASSWORD)
    assert f"Successfully signed in as {new}." in visitor.text


def test_sign_up_and_log_in_without_javascript(development_site, chromium):
    visitor = Visitor(chromium, development_site.origin)
    visitor.allow_scripts(False)
    email = "emmy@example.com"

    sign_up(visitor, development_site, email)
    log_out(visitor)
    log_in(visitor, email)

    assert f"Successfully signed in as {email}." in visitor.text


def test_superuser_enters_the_admin_with_a_code(site, visitor):
    email = "grace@example.com"
    site.create_superuser(email, PASSWORD)
    log_in(visitor, email)
    app = add_authenticator_app(visitor)
    log_out(visitor)

    visitor.visit("/admin/")
    visitor.fill(login=email, password=PASSWORD)
    visitor.press("Sign In")
    enter_code(visitor, app)

    assert visitor.path == "/admin/"
    assert "Site administration" in visitor.text
