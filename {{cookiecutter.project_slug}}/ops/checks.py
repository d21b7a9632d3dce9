"""Checks for production: `manage.py check --deploy` and scripts/serve.py run them."""

import filecmp
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, storages


@register(Tags.staticfiles, deploy=True)
def check_static_files(**kwargs: Any) -> list[CheckMessage]:
    """Check that collectstatic has run since a static file was added or changed."""
    storage = storages["staticfiles"]
    if not isinstance(storage, ManifestFilesMixin):
        return []
    manifest = Path(storage.path(storage.manifest_name))
    name = find_uncollected(storage, manifest) if manifest.exists() else "all of them"
    if not name:
        return []
    return [
        Error(
            f"Static files are not collected ({name}): run "
            "`python manage.py collectstatic --no-input` for each release, with DEBUG "
            "off.",
            id="ops.E001",
        )
    ]


@register(deploy=True)
def check_storages(**kwargs: Any) -> list[CheckMessage]:
    """Check that the storages accept their options. No file is read or written."""
    errors: list[CheckMessage] = []
    for alias in settings.STORAGES:
        try:
            storages[alias]
        except (ImproperlyConfigured, InvalidStorageError) as error:
            message = f"The storage {alias!r} cannot be used: {error}"
            errors.append(Error(message, id="ops.E002"))
    return errors


def find_uncollected(storage: Any, manifest: Path) -> str | None:
    """Return the name of a file that changed after the manifest was written, or None."""
    config: Any = apps.get_app_config("staticfiles")
    seen = set()
    for finder in get_finders():
        for path, source in finder.list(config.ignore_patterns):
            prefix = getattr(source, "prefix", None)
            name = f"{prefix}/{path}" if prefix else path
            file = Path(source.path(path))
            if name in seen:
                continue  # The file of an earlier finder is collected instead.
            seen.add(name)
            if name in storage.hashed_files:
                if not filecmp.cmp(file, storage.path(name)):
                    return name
            # Other files were ignored by collectstatic, unless they are newer.
            elif file.stat().st_mtime > manifest.stat().st_mtime:
                return name
    return None
