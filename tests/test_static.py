"""Static files in production, and uploads in object storage."""

import os
from urllib.parse import quote

import pytest
import requests
from moto.server import ThreadedMotoServer
from support.project import run_shell, uvicorn
from support.server import Server, free_port
from support.site import HTTPS, PRODUCTION


@pytest.fixture(scope="module")
def server(released):
    """Return the Server of a release that plain uvicorn serves."""
    port = free_port()
    server = Server(uvicorn(released, port), released, {**os.environ, **PRODUCTION})
    server.address = f"http://localhost:{port}"
    server.wait_until_up(f"{server.address}/livez")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def sheet(released):
    """Return the path of a style sheet of the admin, with the hash in its name."""
    (sheet,) = (released / "staticfiles").glob("admin/css/base.????????????.css")
    return sheet


@pytest.fixture
def get(server, sheet):
    """Return a function that requests the style sheet or another file in its folder."""

    def get(name=sheet.name, encoding="identity", **headers):
        address = f"{server.address}/static/admin/css/{name}"
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {**HTTPS, "Accept-Encoding": encoding}
        return requests.get(address, headers=headers)

    return get


def test_file_with_a_hash_in_its_name_is_cached_for_ever(get):
    assert "immutable" in get().headers["Cache-Control"]
    assert "immutable" not in get("base.css").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("identity", None), ("gzip, deflate", "gzip"), ("gzip, br, zstd", "gzip")],
)
def test_file_is_compressed_as_the_browser_accepts(get, sheet, accepted, encoding):
    response = get(encoding=accepted)

    assert response.headers.get("Content-Encoding") == encoding
    assert "Accept-Encoding" in response.headers["Vary"]
    file = sheet.with_name(f"{sheet.name}.gz") if encoding else sheet
    assert int(response.headers["Content-Length"]) == file.stat().st_size


def test_unchanged_file_is_not_sent_again(get):
    headers = get("base.css").headers

    by_tag = get("base.css", If_None_Match=headers["ETag"])
    by_date = get("base.css", If_Modified_Since=headers["Last-Modified"])
    assert [by_tag.status_code, by_date.status_code] == [304, 304]
    assert by_tag.content == by_date.content == b""
    assert get("base.css", If_None_Match='"another"').status_code == 200


def test_range_of_a_file_is_sent(get, sheet):
    content = sheet.read_bytes()

    for header, status, expected in [
        ("bytes=10-19", 206, content[10:20]),
        ("bytes=-10", 206, content[-10:]),
        ("bytes=9999999-", 416, b""),
    ]:
        response = get(Range=header)
        assert (response.status_code, response.content) == (status, expected)


def test_static_files_have_the_security_headers_and_no_cors(get, server):
    response = get()

    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Warning" not in server.output


UPLOAD = """
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

def print_checksums(request, **kwargs):
    names = [name for name in request.headers if "checksum" in name.lower()]
    print("checksums:", *names)

events = default_storage.connection.meta.client.meta.events
events.register("before-send.s3.PutObject", print_checksums)
for text in (b"one", b"two"):
    name = default_storage.save("notes/a note+1.txt", ContentFile(text))
    print(default_storage.url(name))
print(*settings.SECURE_CSP["img-src"])
"""
KEY = "AKIA/1+2=", "wJalr/XUtn+FEMI%25/K7MD?#@:"


@pytest.fixture
def storage():
    """Return the URL of a server for S3, with a bucket called uploads."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    requests.post(f"{address}/moto-api/reset")  # The servers share their data.
    requests.put(f"{address}/uploads", headers={"x-amz-acl": "public-read"})
    yield address
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "are_signed", "are_kept"),
    [
        ("", True, True),
        ("?file_overwrite=false", True, True),
        ("?file_overwrite=true", True, False),
        ("?querystring_auth=false&default_acl=public-read", False, True),
    ],
)
def test_storage_url_sends_uploads_to_object_storage(
    project, storage, query, are_signed, are_kept
):
    user = ":".join(quote(text, safe="+") for text in KEY)
    url = storage.replace("//", f"//{user}@") + f"/uploads{query}"

    output = run_shell(project, UPLOAD, env={"STORAGE_URL": url})

    # "When required" means none for an upload: some stores reject boto3's default.
    checksums, one, _, two, csp = output.splitlines()
    assert checksums == "checksums:"
    assert storage in csp.split()
    assert requests.get(one).text == ("one" if are_kept else "two")
    assert requests.get(two).text == "two"
    assert ("Signature=" in one) is are_signed
    assert (quote(KEY[0], safe="") in one) is are_signed


@pytest.mark.slow
def test_links_lead_to_the_custom_domain(project, storage):
    url = f"{storage.replace('//', '//key:secret@')}/uploads"
    env = {"STORAGE_URL": f"{url}?custom_domain=cdn.example.com"}

    link = run_shell(project, UPLOAD, env=env).splitlines()[1]

    assert link == "https://cdn.example.com/notes/a%20note%2B1.txt"
