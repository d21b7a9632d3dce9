import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path

from django.core.management import BaseCommand, CommandError
from django.db import connection

from ops import postgresql


class Command(BaseCommand):
    help = (
        "Copies the database (SQLite or PostgreSQL) to a new file while the site is "
        "running. restore_db restores it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the new file")

    def handle(self, path: Path, **options: object) -> None:
        backups = {"sqlite": back_up_sqlite, "postgresql": postgresql.back_up}
        if connection.vendor not in backups:
            raise CommandError(
                f"The database is {connection.display_name}. Use its own tools."
            )
        try:
            path.touch(mode=0o600, exist_ok=False)  # It contains personal data.
        except OSError as error:
            raise CommandError(
                f"{path} cannot be created ({error.strerror}). Choose a new file in an "
                "existing folder."
            ) from error
        try:
            backups[connection.vendor](path)
        except BaseException:
            path.unlink()  # Part of a backup must not be taken for a backup.
            raise


def back_up_sqlite(path: Path) -> None:
    """Copy the write-ahead log as well, and no half transaction; `cp` does neither."""
    with connection.cursor() as cursor, closing(sqlite3.connect(path)) as copy:
        # SQLite asks for this once a day:
        # https://www.sqlite.org/lang_analyze.html#recommended_usage_patterns
        cursor.execute("PRAGMA optimize")
        connection.connection.backup(copy)
        # Keep all in one file: do not create a write-ahead log when it is opened.
        copy.execute("PRAGMA journal_mode=DELETE")
