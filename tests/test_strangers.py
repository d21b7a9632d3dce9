"""Account pages do not reveal which e-mail addresses are known, and are rate limited."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.project import copy_project
from support.site import in_production

# No authority that this machine trusts signed the certificate of the test's proxy.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

KNOWN = "mary@example.com"
PASSWORD = "correct horse battery"
WRONG_PASSWORD = "wrong horse battery"
FORMS = {
    "/accounts/login/": {"login": "{email}", "password": WRONG_PASSWORD},
    "/accounts/signup/": {
        "email": "{email}",
        "password1": WRONG_PASSWORD,
        "password2": WRONG_PASSWORD,
    },
    "/accounts/password/reset/": {"email": "{email}"},
}
ATTEMPTS = 4  # of each kind; ACCOUNT_RATE_LIMITS allows five for one address

# What differs between any two responses: tokens, nonces, cookies and dates.
RANDOM = re.compile(
    r"\b\w{64}\b|(?<=nonce-)[^']+|(?<=expires=)[^;]+"
    r"|(?<=messages=)[^;]+|(?<=csrftoken=)[^;]+|(?<=__Host-sessionid=)[^;]+"
)


@pytest.fixture(scope="session")
def site(production_site):
    production_site.create_superuser(KNOWN, PASSWORD)
    return production_site


def send_form(site, path, email):
    """Submit a form in a new session; return all responses, redirects included."""
    with requests.Session() as session:
        session.verify = session.trust_env = False
        url = site.origin + path
        session.get(url)
        fields = {name: text.format(email=email) for name, text in FORMS[path].items()}
        fields["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
        response = session.post(url, fields, headers={"Referer": url})
        return [*response.history, response]


def comparable(response, email):
    """Return the status, headers and body without random values and the address."""
    headers = {
        name: RANDOM.sub("", value).replace(email, "")
        for name, value in response.headers.items()
        if name not in {"date", "expires", "x-request-id"}
    }
    return (
        response.status_code,
        headers,
        RANDOM.sub("", response.text).replace(email, ""),
    )


@pytest.mark.parametrize("path", FORMS)
def test_response_is_the_same_for_known_and_unknown_addresses(site, path):
    responses_to = {"known": [], "unknown": []}
    for number in range(ATTEMPTS):
        for kind, email in ("known", KNOWN), ("unknown", f"bob{number}@example.com"):
            responses_to[kind].append((email, send_form(site, path, email)))

    known, unknown = (
        [comparable(response, email) for response in responses]
        for email, responses in (responses_to["known"][0], responses_to["unknown"][0])
    )
    assert known == unknown
    fastest = {
        kind: min(responses[0].elapsed.total_seconds() for _, responses in pairs)
        for kind, pairs in responses_to.items()
    }
    # Hashing a password takes several times as long as everything else.
    assert max(fastest.values()) < 3 * min(fastest.values()), fastest


def test_login_is_rate_limited_across_two_processes(released, tmp_path):
    folder = copy_project(released, tmp_path)
    with in_production(folder, processes=2) as site, ThreadPoolExecutor(4) as threads:
        pages = threads.map(
            lambda _: send_form(site, "/accounts/login/", KNOWN)[-1].text, range(10)
        )
        accepted = [page for page in pages if "Too many failed" not in page]

    assert len(accepted) == 5, "ACCOUNT_RATE_LIMITS allows five in five minutes."
