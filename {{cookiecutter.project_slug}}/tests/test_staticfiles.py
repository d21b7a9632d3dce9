from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command


@pytest.fixture
def get(client, settings):
    """Ask for the style sheet, which is found without collectstatic."""
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True

    def get(**headers):
        response = client.get("/static/site.css", headers=headers)
        return response.status_code, response.getvalue()

    return get


@pytest.fixture
def whole():
    return Path(finders.find("site.css")).read_bytes()


def test_a_range_of_a_file_is_served(get, whole):
    assert get(Range="bytes=10-19") == (206, whole[10:20])


@pytest.mark.parametrize("wanted", ["bytes=0-0", "bytes=-1"])
def test_who_asks_for_one_byte_gets_the_file(get, whole, wanted):
    assert get(Range=wanted) == (200, whole)


def test_who_has_a_part_of_another_version_gets_the_file(get, whole):
    assert get(**{"Range": "bytes=10-", "If-Range": '"older"'}) == (200, whole)


def test_collected_files_are_served(client, settings, tmp_path):
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = False
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "site.css").write_text("p { margin: 0; }")

    for _ in range(2):
        response = client.get("/static/site.css")
        assert response.getvalue() == b"p { margin: 0; }"

    assert client.get("/static/other.css").status_code == 404


def test_a_file_is_collected_although_it_is_older(settings, tmp_path, whole):
    backend = {"BACKEND": "pages.staticfiles.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "site.css").write_text("p { margin: 0; }")

    call_command("collectstatic", "--no-input", "--no-post-process", verbosity=0)

    assert (tmp_path / "site.css").read_bytes() == whole
