import os

import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from ops.checks import check_static_files, check_storages


@pytest.fixture
def source(settings, tmp_path):
    """Return a folder of static files, which are collected as in production."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "site.css").write_text("p { margin: 0 }")
    backend = {"BACKEND": "ops.staticfiles.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.STATICFILES_DIRS = [("own", source)]
    settings.STATICFILES_FINDERS = [
        "django.contrib.staticfiles.finders.FileSystemFinder",
        "django.contrib.staticfiles.finders.FileSystemFinder",
    ]
    settings.STATIC_ROOT = tmp_path / "collected"
    return source


def collect(*arguments):
    call_command("collectstatic", "--no-input", *arguments, verbosity=0)


def test_files_that_were_never_collected_are_reported(source):
    (error,) = check_static_files()

    assert "all of them" in error.msg


def test_collected_files_pass(source):
    collect()

    assert check_static_files() == []


def test_changed_file_is_reported(source):
    collect()
    (source / "site.css").write_text("p { margin: 1px }")

    assert "(own/site.css)" in check_static_files()[0].msg


def test_ignored_file_passes(source):
    (source / "input.css").write_text("p { margin: 0 }")
    collect("--ignore", "input.css")

    assert check_static_files() == []


def test_new_file_is_reported(source, settings):
    collect()
    new = source / "new.css"
    new.write_text("p { margin: 0 }")
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    os.utime(new, (manifest.stat().st_mtime + 10,) * 2)

    assert "(own/new.css)" in check_static_files()[0].msg


def test_storage_without_a_manifest_passes(settings):
    backend = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}

    assert check_static_files() == []


def test_storage_that_does_not_know_an_option_is_reported(settings):
    assert check_storages() == []
    backend = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"file_overwrit": False},
    }
    settings.STORAGES = {**settings.STORAGES, "default": backend}

    (error,) = check_storages()
    assert "'file_overwrit'" in error.msg


@pytest.mark.django_db
def test_frames_of_the_same_site_may_be_allowed(client, settings):
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"

    messages = run_checks(include_deployment_checks=True)
    assert "security.W019" not in [m.id for m in messages if not m.is_silenced()]
    headers = client.get("/").headers
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors" not in headers["Content-Security-Policy"]
