import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path

from django.core.management import BaseCommand, CommandError
from django.db import connection


class Command(BaseCommand):
    """Copy the write-ahead log as well, and no half transaction; `cp` does neither."""

    help = "Copies the SQLite database to a new file while the site is running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the new file")

    def handle(self, path: Path, **options: object) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(
                f"The database is {connection.display_name}, not SQLite. Use its own "
                f'command: pg_dump --format=custom --file={path} "$DATABASE_URL"'
            )
        try:
            path.touch(mode=0o600, exist_ok=False)  # It contains personal data.
        except OSError as error:
            raise CommandError(
                f"{path} cannot be created ({error.strerror}). Choose a new file in an "
                "existing folder."
            ) from error
        with connection.cursor() as cursor, closing(sqlite3.connect(path)) as copy:
            # SQLite asks for this once a day:
            # https://www.sqlite.org/lang_analyze.html#recommended_usage_patterns
            cursor.execute("PRAGMA optimize")
            connection.connection.backup(copy)
            # Keep all in one file: do not create a write-ahead log when it is opened.
            copy.execute("PRAGMA journal_mode=DELETE")
