"""A running site under abuse: what clients send that no browser does, and the answers."""

import contextlib
import gzip
import itertools
import os
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from support.project import copy_project, python_of, run_shell
from support.server import TIMEOUT, Server, free_port
from support.site import PRODUCTION
from support.template import TEMPLATE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="connects from 127.0.0.2 and reads /proc"
    ),
]

# Many, as the log-ins of each are limited.
USERS = [f"ada-{number}@example.com" for number in range(50)]
PASSWORD = "correct horse battery"
LOGIN = "/accounts/login/"
RESET = "/accounts/password/reset/"
LOG_INS = 2000
# The server trusts 127.0.0.1, so tests connect from there as a proxy does.
UNTRUSTED = "127.0.0.2"
# In seconds; shorter than in server/workers.py, so that the tests see them pass.
TIMEOUTS = {"TIMEOUT_FIRST_REQUEST": 2}


# What is sent. Each function returns the bytes of a request.

PROXY = ("Host: localhost", "X-Forwarded-Proto: https")
TOKEN = "csrfmiddlewaretoken=" + "a" * 32
CSRF = ("Cookie: csrftoken=" + "a" * 32, "Origin: https://localhost")
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=X"


def lines(*head, body=b""):
    """Return a request of exactly these lines."""
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def send(line, *headers, body=b""):
    """Return a request as a proxy sends it, whose connection ends with the response."""
    return lines(line, *PROXY, "Connection: close", *headers, body=body)


def get(target, *headers):
    return send(f"GET {target} HTTP/1.1", *headers)


def post(path, body, *headers, csrf=CSRF, kind=FORM):
    """Return the submission of a form."""
    body = body.encode("latin-1") if isinstance(body, str) else body
    length = f"Content-Length: {len(body)}"
    return send(f"POST {path} HTTP/1.1", length, kind, *csrf, *headers, body=body)


def host(*headers):
    proxy = ("X-Forwarded-Proto: https", "Connection: close")
    return lines("GET / HTTP/1.1", *headers, *proxy)


LAST = get("/livez")


def smuggle(*headers, body=b"", version="1.1"):
    """Return a request with a second one behind it, which a body may hide."""
    return lines(f"POST / HTTP/{version}", *PROXY, *headers, body=body + LAST)


def chunked(body, *headers):
    return smuggle("Transfer-Encoding: chunked", *headers, body=body)


def multipart(*parts, kind=MULTIPART):
    """Return a multipart form; a part is its headers and its content."""
    token = ('name="csrfmiddlewaretoken"', "a" * 32)
    text = "".join(
        f"--X\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n"
        for head, content in (token, *parts)
    )
    return post(LOGIN, f"{text}--X--\r\n", kind=kind)


def upgrade(method, *headers, body=b""):
    return lines(
        f"{method} / HTTP/1.1", *PROXY, "Connection: Upgrade", *headers, body=body
    )


WEBSOCKET = (
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


# What is done in several steps. Each function gets the site and returns the answer.


def in_two_parts(first, second):
    """Return a function that sends the second part when the site had the first."""

    def attack(site):
        with site.connect() as client:
            client.sendall(first)
            time.sleep(0.2)
            client.sendall(second)
            return site.read(client)

    return attack


def hold(count, data):
    """
    Return a function that holds connections which sent `data`, a part of a request.

    The answer is that to another visitor, and what the held connections get at last.
    """

    def attack(site):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(site.connect()) for _ in range(count)]
            for client in clients:
                client.sendall(data)
            others = site.ask(get("/"))
            return f"{others}, {' '.join({site.read(client) for client in clients})}"

    return attack


def log_in(*headers, email="nobody@example.com", password=PASSWORD, **fields):
    fields = {"login": email, "password": password, **fields}
    form = "&".join([TOKEN, *(f"{name}={quote(fields[name])}" for name in fields)])
    return post(LOGIN, form, *headers)


def redirect_after_login(target):
    return lambda site: site.ask(log_in(email=site.next_user(), next=target))


def redirect_after_logout(target):
    def attack(site):
        cookie = site.session_of(site.exchange(log_in(email=site.next_user())))
        csrf = (f"{CSRF[0]}; __Host-sessionid={cookie}", CSRF[1])
        form = f"{TOKEN}&next={quote(target)}"
        return site.ask(post("/accounts/logout/", form, csrf=csrf))

    return attack


def fixation(key_of):
    """Return a function that logs in with the session key of an attacker."""

    def attack(site):
        key = key_of(site)
        csrf = (f"{CSRF[0]}; __Host-sessionid={key}", CSRF[1])
        form = f"{TOKEN}&login={site.next_user()}&password={quote(PASSWORD)}"
        response = site.exchange(post(LOGIN, form, csrf=csrf))
        assert site.session_of(response) != key
        logged_in = b"Sign Out" in site.exchange(page_of(key))
        return f"{site.answer(response)}, attacker logged in: {logged_in}"

    return attack


def page_of(session):
    return get("/", f"Cookie: __Host-sessionid={session}")


def invented_key(site):
    return "a" * 32


def key_before_login(site):
    """Return the key of a session in which somebody signed up, and has no user yet."""
    form = f"{TOKEN}&email={site.new_email()}&password1={PASSWORD}&password2={PASSWORD}"
    return site.session_of(site.exchange(post("/accounts/signup/", form)))


def enumerate_users(path, fields):
    """Return a function that compares the answers for a known and another address."""

    def attack(site):
        answers = []
        for email in (site.next_user(), site.new_email()):
            form = f"{TOKEN}&{fields.format(email)}"
            response = site.exchange(post(path, form)).replace(email.encode(), b"")
            # The names of headers, and a page without its tokens, are compared.
            head, _, body = response.partition(b"\r\n\r\n")
            names = re.findall(rb"(?m)^([\w-]+):", head)
            body = re.sub(rb"\b\w{64}\b", b"", body)
            answers.append((site.answer(response), names, body))
        return f"{answers[0][0]}, alike: {answers[0] == answers[1]}"

    return attack


def flood(*headers):
    """Return a function that resets 21 passwords, each time with other `headers`."""

    def attack(site):
        address = site.new_address()
        answers = [
            site.ask(
                post(
                    RESET,
                    f"{TOKEN}&email={site.new_email()}",
                    *(header.format(number, address) for header in headers),
                )
            )
            for number in range(21)
        ]
        return f"{answers[0]} {answers[-1]}"

    return attack


def flood_with_trailers(site):
    address = site.new_address()

    def request(number):
        form = f"{TOKEN}&email={site.new_email()}".encode()
        body = b"%x\r\n%b\r\n0\r\nX-Forwarded-For: 10.0.0.%d\r\n\r\n"
        return send(
            f"POST {RESET} HTTP/1.1",
            *("Transfer-Encoding: chunked", FORM, *CSRF),
            f"X-Forwarded-For: {address}",
            body=body % (len(form), form, number),
        )

    answers = [site.ask(request(number)) for number in range(21)]
    return f"{answers[0]} {answers[-1]}"


def reset_mail(site):
    """Return the origins of the links in e-mails, after resetting a password."""
    headers = ("X-Forwarded-Host: evil.example", "X-Forwarded-Port: 666")
    answer = site.ask(post(RESET, f"{TOKEN}&email={site.next_user()}", *headers))
    mail = run_shell(site.folder, PRINT_MAIL, PRODUCTION)
    origins = set(
        re.findall(r"(?m)(https?:[^\s\"]+)/accounts/password/reset/key/", mail)
    )
    return f"{answer}, {' '.join(origins)}"


PRINT_MAIL = """
from django_ox.models import OxTask
from ops.mail import get_cipher
for task in OxTask.objects.filter(task_path__endswith="send_message"):
    print(get_cipher().decrypt(task.args[2]).decode())
"""


def from_untrusted(path, *headers):
    return lambda site: site.ask(get(path, *headers), source=UNTRUSTED)


# What comes back: the statuses and the targets of redirects, in their order, or "closed".

CASES = {
    "malformed requests": {
        "no HTTP": (b"hello\r\n\r\n", "400"),
        "HTTP/0.9": (b"GET /\r\n\r\n", "400"),
        "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        "HTTP/9.9": (send("GET / HTTP/9.9"), "400"),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50, "400"),
        "null byte in the line": (get("/\0"), "400"),
        "space in the target": (get("/a b"), "400"),
        "lower-case method": (send("get / HTTP/1.1"), "400"),
        "lines end with LF": (get("/").replace(b"\r\n", b"\n"), "400"),
        "space before the colon": (get("/", "X-A : b"), "400"),
        "header without a colon": (get("/", "header"), "400"),
        "header without a name": (get("/", ": b"), "400"),
        "folded header": (get("/", "X-A: a\r\n b"), "400"),
        "null byte in a header": (get("/", "X-A: a\0b"), "400"),
        "CR in a header": (get("/", "X-A: a\rb"), "400"),
        "header is not ASCII": (get("/", "X-A: \xff\xfe"), "200"),
        "Content-Type of 20 kB": (get("/", "Content-Type: a/b; " + "a" * 20000), "400"),
        "Content-Type with an unknown encoding": (
            get("/", "Content-Type: a/b; charset*=bogus''a"),
            "400",
        ),
    },
    "request smuggling": {
        "Content-Length and Transfer-Encoding": (
            chunked(b"0\r\n\r\n", "Content-Length: 4"),
            "400",
        ),
        "two Content-Lengths": (
            smuggle("Content-Length: 0", "Content-Length: 5"),
            "400",
        ),
        "list of Content-Lengths": (smuggle("Content-Length: 0, 0"), "400"),
        "negative Content-Length": (smuggle("Content-Length: -1"), "400"),
        "signed Content-Length": (smuggle("Content-Length: +0"), "400"),
        "hexadecimal Content-Length": (smuggle("Content-Length: 0x0"), "400"),
        "empty Content-Length": (smuggle("Content-Length:"), "400"),
        "overflowing Content-Length": (smuggle("Content-Length: " + "9" * 23), "400"),
        "space before the colon": (smuggle("Content-Length : 5"), "400"),
        "unknown Transfer-Encoding": (
            smuggle("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
            "400",
        ),
        "chunked is not last": (
            smuggle("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
            "400",
        ),
        "chunked and then another": (
            chunked(b"0\r\n\r\n", "Transfer-Encoding: identity"),
            "400",
        ),
        "chunked in HTTP/1.0": (
            smuggle("Transfer-Encoding: chunked", body=b"0\r\n\r\n", version="1.0"),
            "403",
        ),
        "negative chunk": (chunked(b"-1\r\n\r\n"), "400"),
        "chunk size with 0x": (chunked(b"0x0\r\n\r\n"), "400"),
        "overflowing chunk": (chunked(b"f" * 17 + b"\r\n\r\n"), "400"),
        "chunk longer than its size": (chunked(b"1\r\nab0\r\n\r\n"), "400"),
        "chunk lines end with LF": (chunked(b"0\n\n"), "400"),
        "header after the body": (
            chunked(b"0\r\nX-Forwarded-Proto: http\r\n\r\n"),
            "403 200",
        ),
        "body of a GET": (
            lines("GET / HTTP/1.1", *PROXY, "Content-Length: 5", body=b"GET /" + LAST),
            "200 200",
        ),
        "request behind the last one": (get("/") + LAST, "200"),
    },
    "large requests": {
        "target of 60 kB": (get("/" + "a" * 60_000), "404"),
        "header of 60 kB": (get("/", "X-A: " + "a" * 60_000), "200"),
        "10,000 headers": (get("/", *["X-A: abcdef"] * 10_000), "200"),
        "5,000 cookies": (get("/", "Cookie: " + "a=b; " * 5_000), "200"),
        "form of 3 MB": (post(LOGIN, f"{TOKEN}&a={'b' * 3 * 2**20}"), "400"),
        "form of 1,001 fields": (post(LOGIN, TOKEN + "&a=b" * 1001), "400"),
        "password of 1 MB": (log_in(password="a" * 2**20), "200"),
        "compression bomb": (
            post(LOGIN, gzip.compress(b"a" * 2**24), "Content-Encoding: gzip"),
            "403",
        ),
    },
    "slow clients": {
        "silence": (hold(1, b""), "200, closed"),
        "a line of HTTP/0.9": (hold(1, b"GET /\r\n"), "200, closed"),
        "50 half heads": (hold(50, get("/")[:-4]), "200, closed"),
    },
    "hosts and targets": {
        "no Host": (host(), "400"),
        "empty Host": (host("Host: "), "400"),
        "another Host": (host("Host: evil.example"), "400"),
        "two Hosts": (host("Host: localhost", "Host: evil.example"), "400"),
        "Host with a user": (host("Host: localhost@evil.example"), "400"),
        "Host with a wrong port": (host("Host: localhost:evil"), "400"),
        "Host of 10 kB": (host("Host: " + "a." * 5000), "400"),
        "Host is not ASCII": (host("Host: \xff"), "400"),
        "absolute target of another host": (get("http://evil.example/"), "200"),
        "absolute target and another Host": (
            lines(
                "GET https://localhost/ HTTP/1.1",
                *("Host: evil.example", PROXY[1], "Connection: close"),
            ),
            "400",
        ),
        "absolute target of a file": (get("file:///etc/passwd"), "400"),
        "broken absolute target": (get("http://[::1/"), "400"),
        "target without a slash": (get("localhost:80"), "400"),
        "asterisk": (get("*"), "404"),
        "target with two slashes": (get("//evil.example/accounts/login"), "404"),
    },
    "traversal and encodings": {
        **{
            path: (get(path), "404")
            for path in (
                "/static/../manage.py",
                "/static/%2e%2e/manage.py",
                "/static/%252e%252e/manage.py",
                "/static/..\\manage.py",
                "/static/..%5cmanage.py",
                "/static/....//manage.py",
                "/static/%2e%2e%2fdb.sqlite3",
                "/static//etc/passwd",
                "/static/site.css%00.png",
                "/media/../db.sqlite3",
                "/../../etc/passwd",
                "/livez/../admin/",
                "/.env",
                "/.git/config",
                "/my_site/settings.py",
                "/%00",
                "/%ff",
                "/%c0%ae%c0%ae/",
                "/%ed%a0%80",
                "/%",
                "/static/%ff",
                "/accounts/confirm-email/%00/",
                "/accounts/password/reset/key/%00-%00/",
            )
        },
        "path is not ASCII": (get("/\xff"), "400"),
        "query is not ASCII": (get("/?a=\xff"), "400"),
        "encoded query is not UTF-8": (get("/?a=%ff"), "200"),
        "next is not UTF-8": (get(f"{LOGIN}?next=%ff"), "200"),
        "null byte in next": (get(f"{LOGIN}?next=%00"), "200"),
        "2,000 parameters": (get("/?" + "a&" * 2000), "200"),
        "form is not UTF-8": (post(LOGIN, f"{TOKEN}&login=%ff&password=\xff"), "200"),
        "null bytes in a form": (log_in(email="a\0@b.example", password="\0"), "200"),
        "surrogate in a form": (post(LOGIN, f"{TOKEN}&login=%ed%a0%80"), "200"),
        "form of an unknown encoding": (
            post(LOGIN, TOKEN, kind=f"{FORM}; charset=bogus"),
            "200",
        ),
        "form in utf8, another name": (
            post(LOGIN, TOKEN, kind=f"{FORM}; charset=utf8"),
            "200",
        ),
        "form in UTF-7": (post(LOGIN, TOKEN, kind=f"{FORM}; charset=utf-7"), "400"),
        "form in zlib": (post(LOGIN, TOKEN, kind=f"{FORM}; charset=zlib"), "400"),
        "multipart form in rot13": (
            multipart(kind=f"{MULTIPART}; charset=rot13"),
            "400",
        ),
        "JSON instead of a form": (
            post(LOGIN, "{}", kind="Content-Type: application/json"),
            "403",
        ),
    },
    "cookies": {
        **{
            cookie[:30]: (get(LOGIN, f"Cookie: {cookie}"), "200")
            for cookie in (
                "csrftoken=\xff\xfe",
                "csrftoken=" + "a" * 5000,
                "=;=;=",
                "__Host-sessionid=" + "a" * 10_000,
                "__Host-sessionid=../../etc/passwd",
                '__Host-sessionid="',
                "messages=\xff%00",
                "messages=" + "[" * 4000,
                "django_language=../../etc",
            )
        },
        "null byte": (get("/", "Cookie: a=b\0"), "400"),
    },
    "multipart forms": {
        "1,001 fields": (multipart(*[('name="a"', "b")] * 1001), "400"),
        "101 files": (multipart(*[('name="a"; filename="b"', "c")] * 101), "400"),
        "no boundary": (multipart(kind="Content-Type: multipart/form-data"), "400"),
        "boundary of 300 bytes": (multipart(kind=MULTIPART + "X" * 300), "400"),
        "boundary is not ASCII": (multipart(kind=MULTIPART + "\xff"), "400"),
        "no parts": (post(LOGIN, "\r\n--X\r\n" * 1000, kind=MULTIPART), "403"),
        "no body": (post(LOGIN, "", kind=MULTIPART), "403"),
        "nested": (
            multipart(
                *[('name="a"\r\nContent-Type: multipart/mixed; boundary=Y', "--Y")] * 99
            ),
            "200",
        ),
        "name of 100 kB": (multipart((f'name="{"a" * 100_000}"', "b")), "400"),
        "file in another folder": (
            multipart(('name="a"; filename="../../../evil.txt"', "b")),
            "200",
        ),
        "null byte in a file's name": (
            multipart(('name="a"; filename="a\0b"', "b")),
            "200",
        ),
        "broken Base64": (
            multipart(
                (
                    'name="a"; filename="b"\r\nContent-Transfer-Encoding: base64',
                    "===!!",
                )
            ),
            "400",
        ),
        "names in an unknown encoding": (
            multipart(("name*=utf-8''%ff; filename*=bogus''%ff", "a")),
            "200",
        ),
    },
    "CSRF": {
        "neither cookie nor token": (post(LOGIN, "login=a", csrf=()), "403"),
        "another token": (post(LOGIN, TOKEN[:-1] + "b"), "403"),
        "no Origin and no Referer": (post(LOGIN, TOKEN, csrf=CSRF[:1]), "403"),
        **{
            header: (post(LOGIN, TOKEN, csrf=(CSRF[0], header)), "403")
            for header in (
                "Origin: https://evil.example",
                "Origin: https://localhost.evil.example",
                "Origin: http://localhost",
                "Origin: https://localhost:444",
                "Origin: https://[localhost",
                "Origin: null",
                "Referer: https://evil.example/https://localhost/",
                "Referer: https://[localhost/",
                "Referer: http://localhost/",
            )
        },
        "token is not ASCII": (post(LOGIN, "", "X-CSRFToken: \xff"), "403"),
    },
    "open redirects": {
        **{
            f"log-in, next={target!r}": (redirect_after_login(target), "302 /")
            for target in (
                "//evil.example",
                "///evil.example",
                "https:evil.example",
                "https://evil.example/",
                "https://localhost@evil.example/",
                "\\\\evil.example",
                "/\\evil.example",
                "/\t/evil.example",
                "javascript:alert(1)",
            )
        },
        "log-in, next has a line break": (
            redirect_after_login("/\r\nX-Evil: a"),
            "302 /%0D%0AX-Evil:%20a",
        ),
        "log-out": (redirect_after_logout("//evil.example"), "302 /"),
        "log-out, backslashes": (redirect_after_logout("\\\\evil.example"), "302 /"),
        "redirect to the slash": (
            get("/accounts/login?next=//evil.example"),
            "301 /accounts/login/?next=//evil.example",
        ),
    },
    "response splitting": {
        "path": (get("/accounts/login%0d%0aX-Evil:%20a"), "404"),
        "path of a static file": (get("/static/%0d%0aX-Evil:%20a"), "404"),
        "query of a redirect": (
            get("/accounts/login?%0d%0aX-Evil:%20a"),
            "301 /accounts/login/?%0d%0aX-Evil:%20a",
        ),
        "query of a redirect to HTTPS": (
            from_untrusted("/?%0d%0aX-Evil:%20a"),
            "301 https://localhost/?%0d%0aX-Evil:%20a",
        ),
        "request id": (get("/", "X-Request-ID: aaaaaaaa%0d%0aX-Evil: a"), "200"),
    },
    "X-Forwarded-* of an untrusted peer": {
        **{
            header: (from_untrusted("/", header), "301 https://localhost/")
            for header in (
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: evil.example",
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Port: 666",
                "X-Forwarded-Prefix: //evil.example",
                "X-Original-URL: /admin/",
                "Forwarded: host=evil.example;proto=https",
            )
        },
        "passed on by the proxy": (
            get(
                "/accounts/login",
                "X-Forwarded-Host: evil.example",
                "X-Forwarded-Port: 666",
                "X-Forwarded-Prefix: //evil.example",
                "X-Original-URL: //evil.example",
            ),
            "301 /accounts/login/",
        ),
        "link in an e-mail": (reset_mail, f"302 {RESET}done/, https://localhost"),
    },
    "sessions": {
        "invented key": (fixation(invented_key), "302 /, attacker logged in: False"),
        "key of another sign-up": (
            fixation(key_before_login),
            "302 /accounts/confirm-email/, attacker logged in: False",
        ),
    },
    "enumeration of users": {
        "log-in": (
            enumerate_users(LOGIN, "login={}&password=wrong"),
            "200, alike: True",
        ),
        "admin": (
            get("/admin/login/"),
            "302 /accounts/login/?next=%2Fadmin%2Flogin%2F",
        ),
        "password reset": (
            enumerate_users(RESET, "email={}"),
            f"302 {RESET}done/, alike: True",
        ),
        "sign-up": (
            enumerate_users(
                "/accounts/signup/",
                f"email={{}}&password1={PASSWORD}&password2={PASSWORD}",
            ),
            "302 /accounts/confirm-email/, alike: True",
        ),
    },
    "rate limits": {
        "one address": (flood("X-Forwarded-For: {1}"), f"302 {RESET}done/ 429"),
        "invented addresses before it": (
            flood("X-Forwarded-For: 10.0.0.{0}, {1}"),
            f"302 {RESET}done/ 429",
        ),
        "invented addresses in another header": (
            flood("X-Forwarded-For: 10.0.0.{0}", "X-Forwarded-For: {1}"),
            f"302 {RESET}done/ 429",
        ),
        "other headers of proxies": (
            flood(
                "X-Forwarded-For: {1}",
                "X-Real-IP: 10.0.0.{0}",
                "Forwarded: for=10.0.0.{0}",
                "CF-Connecting-IP: 10.0.0.{0}",
                "True-Client-IP: 10.0.0.{0}",
                "X-Client-IP: 10.0.0.{0}",
            ),
            f"302 {RESET}done/ 429",
        ),
        "addresses with ports": (
            flood("X-Forwarded-For: {1}:{0}"),
            f"302 {RESET}done/ 429",
        ),
        "invented addresses after the body": (
            flood_with_trailers,
            f"302 {RESET}done/ 429",
        ),
        "no address": (log_in("X-Forwarded-For: evil"), "403"),
        "address of 5 kB": (log_in("X-Forwarded-For: " + "1" * 5000), "403"),
    },
    "methods": {
        **{
            method: (send(f"{method} / HTTP/1.1"), status)
            for method, status in {
                "TRACE": "405",
                "OPTIONS": "405",
                "PUT": "403",
                "DELETE": "403",
                "PROPFIND": "403",
                "NONSENSE": "400",
                "CONNECT": "403",
            }.items()
        },
        "CONNECT to a host": (send("CONNECT localhost:443 HTTP/1.1"), "400"),
        "TRACE of a static file": (send("TRACE /static/site.css HTTP/1.1"), "405"),
        "POST to a static file": (
            send("POST /static/site.css HTTP/1.1", "Content-Length: 0"),
            "405",
        ),
        "another method in a header": (
            get("/admin/", "X-HTTP-Method-Override: DELETE"),
            "302 /admin/login/?next=/admin/",
        ),
    },
    "ranges": {
        **{
            value[:30]: (get("/static/site.css", f"Range: {value}"), status)
            for value, status in {
                "bytes=0-9": "206",
                "bytes=9999999-": "416",
                "bytes=5-1": "416",
                "bytes=0-99999999999999999999999": "206",
                "bytes=a-b": "200",
                "lines=0-9": "200",
                "bytes=" + "0-9," * 1000: "200",
            }.items()
        },
        "1,000 ranges of a page": (get("/", "Range: bytes=" + "0-9," * 1000), "200"),
    },
    "upgrades": {
        "websocket": (upgrade("GET", *WEBSOCKET), "403"),
        "websocket without a key": (upgrade("GET", "Upgrade: websocket"), "400"),
        "websocket, another version": (
            upgrade("GET", WEBSOCKET[0], "Sec-WebSocket-Version: 99", WEBSOCKET[2]),
            "400",
        ),
        "websocket by POST": (upgrade("POST", *WEBSOCKET), "405"),
        "HTTP/2": (
            in_two_parts(
                upgrade("GET", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"), LAST
            ),
            "200 200",
        ),
        "Expect: nonsense": (send("POST / HTTP/1.1", "Expect: nonsense"), "403"),
    },
}

NAMES = [(group, name) for group, cases in CASES.items() for name in cases]

# What no response may contain.
LEAKS = (
    *(b"Traceback", b"site-packages", b"DJANGO_SETTINGS_MODULE", b"ZeroDivision"),
    PRODUCTION["SECRET_KEY"].encode(),
)


class Target:
    """A project served by serve.py, and the connections to it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.numbers = itertools.count()
        self.users = itertools.cycle(USERS)
        env = {**PRODUCTION, "PORT": str(self.port), "WEB_CONCURRENCY": "2"}
        run_shell(folder, ADD_USERS, env)
        command = [python_of(folder), "scripts/serve.py"]
        self.server = Server(command, folder, {**os.environ, **env})

    def new_email(self):
        return f"user-{next(self.numbers)}@example.com"

    def next_user(self):
        """Return the e-mail address of a user with the password PASSWORD."""
        return next(self.users)

    def new_address(self):
        """Return an IP address that no client of this site has had."""
        number = next(self.numbers)
        return f"192.0.{number // 250}.{number % 250}"

    def connect(self, source="127.0.0.1"):
        return socket.create_connection(
            ("127.0.0.1", self.port), TIMEOUT, source_address=(source, 0)
        )

    def exchange(self, data, source="127.0.0.1"):
        """Send a request; return all that comes back until the connection is closed."""
        if b"X-Forwarded-For:" not in data and data.count(b"\r\n") > 2:
            # Each client has an address of its own, so that no rate limit is shared.
            address = f"\r\nX-Forwarded-For: {self.new_address()}\r\n".encode()
            if data.startswith((b"GET /", b"POST /accounts")) and source != UNTRUSTED:
                data = data.replace(b"\r\n", address, 1)
        with self.connect(source) as client:
            with contextlib.suppress(OSError):
                client.sendall(data)
            return self.read_all(client)

    def ask(self, data, source="127.0.0.1"):
        return self.answer(self.exchange(data, source))

    def read_all(self, client):
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := client.recv(2**16):
                parts.append(part)
        response = b"".join(parts)
        leaks = [leak for leak in LEAKS if leak in response]
        leaks += [path for path in [bytes(self.folder)] if path in response]
        assert not leaks, response
        head = response.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nx-evil" not in head
        return response

    def read(self, client):
        return self.answer(self.read_all(client))

    def answer(self, response):
        """Return the statuses and redirects in what came back, or "closed"."""
        found = re.findall(rb"(?m)^HTTP/1\.1 (\d+) |^location: (.*)\r$", response)
        return " ".join(b"".join(pair).decode() for pair in found) or "closed"

    def session_of(self, response):
        """Return the session key that a response sets, or None."""
        found = re.search(rb"__Host-sessionid=(\w+)", response)
        return found and found[1].decode()

    def workers(self):
        started = re.findall(r"Started server process .(\d+)", self.server.output)
        return [int(pid) for pid in started]

    def memory(self):
        """Return the memory of the workers, in bytes; what they share counts once."""
        return sum(
            int(re.search(r"(?m)^Pss: +(\d+)", smaps)[1]) * 1024
            for smaps in (
                Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
                for pid in self.workers()
            )
        )

    def perform(self, group, name):
        """Return the answer to a case."""
        attack, _ = CASES[group][name]
        return attack(self) if callable(attack) else self.ask(attack)


ADD_USERS = f"""
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
User, password = get_user_model(), make_password({PASSWORD!r})
for email in {USERS!r}:
    user = User.objects.create(email=email, password=password)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
"""


@pytest.fixture(scope="module")
def target(released, tmp_path_factory):
    """Return a running site that soon gives up on slow clients."""
    folder = copy_project(released, tmp_path_factory.mktemp("abuse"))
    workers = folder / "server" / "workers.py"
    text = workers.read_text("utf-8")
    for name, seconds in TIMEOUTS.items():
        text, count = re.subn(rf"(?m)^{name} = \d+$", f"{name} = {seconds}", text)
        assert count == 1
    workers.write_text(text, "utf-8")
    target = Target(folder)
    try:
        target.server.wait_until_up(f"http://127.0.0.1:{target.port}/livez")
        yield target
        for failure in ("Exception in ASGI application", '"status_code": 5'):
            assert failure not in target.server.output
    finally:
        target.server.stop()


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_abuse(target, group, name):
    assert target.perform(group, name) == CASES[group][name][1]


def test_memory_is_steady(target):
    """Send everything three times, and thousands of log-ins; compare the last two."""
    with ThreadPoolExecutor(4) as pool:

        def perform_all():
            return list(pool.map(lambda case: target.perform(*case), NAMES))

        def measure():
            # Ordinary requests let Python collect the garbage of the others.
            assert set(pool.map(target.ask, [get(LOGIN)] * 500)) == {"200"}
            return target.memory()

        perform_all()
        perform_all()
        before = measure()
        answers = perform_all()
        addresses = itertools.cycle([target.new_address() for _ in range(4)])
        log_ins = set(
            pool.map(
                target.ask,
                (
                    log_in(
                        f"X-Forwarded-For: {next(addresses)}", email=f"{n}@b.example"
                    )
                    for n in range(LOG_INS)
                ),
            )
        )
        after = measure()

    assert answers == [CASES[group][name][1] for group, name in NAMES]
    assert log_ins == {"200", "429"}
    assert after < before * 1.1
    assert len(target.workers()) == 2


def test_page_has_all_cases():
    page = (TEMPLATE / "docs" / "reliability.md").read_text("utf-8")

    for group, cases in CASES.items():
        assert f"| {group} | {len(cases)} |" in page
