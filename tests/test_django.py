"""Django's own tests of its ASGI handler, run against the handler of server/."""

import re
import subprocess
import tarfile

import pytest
from support.project import python_of

# The tests that fail, and why the handler differs.
EXPECTED = {
    # uvicorn sends no other message than http.disconnect after the body.
    "test_assert_in_listen_for_disconnect",
    # A synchronous view is not interrupted; uvicorn drops a response to a client that
    # has disconnected.
    "test_disconnect_with_body",
}


@pytest.mark.slow
def test_django_accepts_the_handler(project, tmp_path):
    python = python_of(project)
    version = subprocess.check_output([python, "-m", "django", "--version"], text=True)
    subprocess.run(
        [
            *(python, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--no-binary", ":all:", f"django=={version.strip()}"),
        ],
        cwd=tmp_path,
        check=True,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(tmp_path, filter="data")
    (tests,) = tmp_path.glob("*/tests")
    path = tests / "asgi" / "tests.py"
    text = path.read_text("utf-8")
    ours = text.replace(
        "from django.core.asgi import get_asgi_application",
        "from server.handler import get_asgi_application",
    )
    assert ours != text
    path.write_text(ours, "utf-8")
    # After the tests' own folder: both have packages with the same names.
    start = (
        f"import sys, runpy; sys.path[:0] = ['.']; sys.path.append({str(project)!r});"
    )
    start += "sys.argv = ['runtests.py', 'asgi', '--parallel=1'];"
    start += "runpy.run_path('runtests.py', run_name='__main__')"

    done = subprocess.run(
        [python, "-c", start],
        cwd=tests,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert re.search(r"^Ran \d\d+ tests", done.stdout, re.MULTILINE), done.stdout
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stdout, re.MULTILINE))
    assert failed == EXPECTED, done.stdout
