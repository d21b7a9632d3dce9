import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from re import Match
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage, for releases that contain files of third-party packages."""

    # Templates of packages refer to folders, which are not in the manifest. A missing file
    # is an error all the same.
    manifest_strict = False

    def get_modified_time(self, name: str) -> datetime:
        """
        Return the earliest time, so that collectstatic copies every file.

        It skips a file that is older than its copy. The files of a package are older
        after the package was downgraded.
        """
        return datetime.min.replace(tzinfo=UTC)

    #: if cookiecutter.frontend == "vite"
    def file_hash(self, name: str | None, content: Any = None) -> str | None:
        """Return no hash for a file from Vite, whose name has one already."""
        is_built = name and name.startswith("dist/")
        return None if is_built else super().file_hash(name, content)

    #: endif
    def url_converter(self, name: str, *args: Any) -> Callable[[Match[str]], str]:
        """
        Return a function that adds the hash to a reference in the file `name`.

        Django raises an error if the reference is to a missing file, or out of the
        folder, and collectstatic fails. Packages contain such references, for example to
        source maps; they are logged and kept as they are.
        """
        convert = super().url_converter(name, *args)

        def convert_or_keep(match: Match[str]) -> str:
            #: if cookiecutter.frontend == "vite"
            if name.startswith("dist/"):
                return match["matched"]
            #: endif
            try:
                return convert(match)
            except (ValueError, SuspiciousFileOperation):
                warn(name, match["matched"])
                return match["matched"]

        return convert_or_keep


@cache  # collectstatic processes a file several times.
def warn(name: str, reference: str) -> None:
    logger.warning("%s refers to a file that does not exist: %s", name, reference)
