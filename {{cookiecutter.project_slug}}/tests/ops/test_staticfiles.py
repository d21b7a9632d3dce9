from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command

from ops.staticfiles import StaticFilesStorage


@pytest.fixture
def style_sheet():
    return Path(finders.find("site.css")).read_bytes()


def test_collected_files_are_served(client, settings, tmp_path):
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = False
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "site.css").write_text("p { margin: 0; }")

    response = client.get("/static/site.css")

    assert response.getvalue() == b"p { margin: 0; }"
    assert client.get("/static/other.css").status_code == 404


def test_index_files_of_folders_are_served(client, settings, tmp_path):
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = False
    settings.WHITENOISE_INDEX_FILE = True
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "index.html").write_text("<h1>Manual</h1>")

    assert client.get("/static/manual/").getvalue() == b"<h1>Manual</h1>"
    assert client.get("/static/manual").headers["Location"] == "manual/"


def test_collectstatic_replaces_a_newer_copy(settings, tmp_path, style_sheet):
    backend = {"BACKEND": "ops.staticfiles.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "site.css").write_text("p { margin: 0; }")

    call_command("collectstatic", "--no-input", "--no-post-process", verbosity=0)

    assert (tmp_path / "site.css").read_bytes() == style_sheet


def test_collectstatic_keeps_references_to_missing_files(settings, tmp_path, caplog):
    source = tmp_path / "source"
    source.mkdir()
    css = '@import "tailwindcss"; p { background: url(missing.png) }'
    css += "a { background: url(../../../out.png) } b { background: url(http://[) }"
    (source / "vendor.css").write_text(css)
    (source / "vendor.js").write_text("//# sourceMappingURL=vendor.js.map")
    backend = {"BACKEND": "ops.staticfiles.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": backend}
    settings.STATICFILES_DIRS = [source]
    # Without the files of the apps, which take seconds.
    settings.STATICFILES_FINDERS = [
        "django.contrib.staticfiles.finders.FileSystemFinder"
    ]
    settings.STATIC_ROOT = tmp_path / "collected"

    call_command("collectstatic", "--no-input", verbosity=0)

    (collected,) = settings.STATIC_ROOT.glob("vendor.????????????.css")
    assert "url(missing.png)" in collected.read_text()
    assert "url(../../../out.png)" in collected.read_text()
    assert "vendor.css refers to a file that does not exist: url(missing.png)" in (
        caplog.messages
    )


def test_templates_may_refer_to_folders(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "vendor").mkdir()
    storage = StaticFilesStorage()

    assert storage.url("vendor") == "/static/vendor"
    with pytest.raises(ValueError, match="could not be found"):
        storage.url("missing.png")
