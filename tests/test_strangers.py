"""What strangers find out about accounts, and how often they may guess a password."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.project import copy_project
from support.site import in_production

# The certificate of sites.tls_proxy is nobody's.
pytestmark = pytest.mark.filterwarnings(
    "ignore::urllib3.exceptions.InsecureRequestWarning"
)

KNOWN = "mary@example.com"
PASSWORD = "correct horse battery"
GUESS = "wrong horse battery"
FORMS = {
    "/accounts/login/": {"login": "{email}", "password": GUESS},
    "/accounts/signup/": {"email": "{email}", "password1": GUESS, "password2": GUESS},
    "/accounts/password/reset/": {"email": "{email}"},
}
ATTEMPTS = 4  # of each kind; the limit for one address is five in a few minutes

# What differs between any two answers: tokens, nonces, cookies, and when it was.
CHANCE = re.compile(
    r"\b\w{64}\b|(?<=nonce-)[^']+|(?<=expires=)[^;]+"
    r"|(?<=messages=)[^;]+|(?<=__Host-csrftoken=)[^;]+|(?<=__Host-sessionid=)[^;]+"
)


@pytest.fixture(scope="session")
def site(production_site):
    production_site.create_superuser(KNOWN, PASSWORD)
    return production_site


def send_form(site, path, email):
    """Fill in a form as somebody new; return the responses, redirects followed."""
    with requests.Session() as stranger:
        stranger.verify = stranger.trust_env = False
        url = site.origin + path
        stranger.get(url)
        fields = {name: text.format(email=email) for name, text in FORMS[path].items()}
        fields["csrfmiddlewaretoken"] = stranger.cookies["__Host-csrftoken"]
        response = stranger.post(url, fields, headers={"Referer": url})
        return [*response.history, response]


def comparable(response, email):
    """Return the status, headers and body, less what chance has put there."""
    headers = {
        name: CHANCE.sub("", value).replace(email, "")
        for name, value in response.headers.items()
        if name not in {"date", "expires", "x-request-id"}
    }
    return (
        response.status_code,
        headers,
        CHANCE.sub("", response.text).replace(email, ""),
    )


@pytest.mark.parametrize("path", FORMS)
def test_an_answer_does_not_tell_whether_an_address_is_known(site, path):
    answers = {"known": [], "unknown": []}
    for number in range(ATTEMPTS):
        for kind, email in ("known", KNOWN), ("unknown", f"bob{number}@example.com"):
            answers[kind].append((email, send_form(site, path, email)))

    (email, known), (stranger, unknown) = answers["known"][0], answers["unknown"][0]
    assert [comparable(response, email) for response in known] == [
        comparable(response, stranger) for response in unknown
    ]
    fastest = {
        kind: min(responses[0].elapsed.total_seconds() for _, responses in pairs)
        for kind, pairs in answers.items()
    }
    # To hash a password takes several times as long as all the rest.
    assert max(fastest.values()) < 3 * min(fastest.values()), fastest


def test_guessing_is_stopped_over_two_processes_as_over_one(project, tmp_path):
    folder = copy_project(project, tmp_path)
    with in_production(folder, processes=2) as site, ThreadPoolExecutor(4) as guessers:
        answers = guessers.map(
            lambda _: send_form(site, "/accounts/login/", KNOWN)[-1].text, range(10)
        )
        judged = [text for text in answers if "Too many failed" not in text]

    assert len(judged) == 5, "ACCOUNT_RATE_LIMITS allows five in five minutes."
