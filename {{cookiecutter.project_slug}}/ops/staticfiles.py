from datetime import UTC, datetime

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """
    WhiteNoise's storage, for a collectstatic that copies every file.

    Django skips a file that is older than its copy. A file of a package is older after
    the package was downgraded, and the copy would stay.
    """

    def get_modified_time(self, name: str) -> datetime:
        return datetime.min.replace(tzinfo=UTC)
