import sqlite3
from contextlib import closing
from pathlib import Path

from django.core.management import BaseCommand, CommandError
from django.db import connection


class Command(BaseCommand):
    """Copies what `cp` would not: the write-ahead log, and transactions as a whole."""

    help = "Copies the SQLite database to a new file, while the site goes on running."

    def add_arguments(self, parser):
        parser.add_argument("path", type=Path)

    def handle(self, path, **options):
        if connection.vendor != "sqlite":
            raise CommandError(
                f"This is {connection.display_name}, not SQLite, so use its own "
                f'command: pg_dump --format=custom --file={path} "$DATABASE_URL"'
            )
        try:
            path.touch(mode=0o600, exist_ok=False)  # It holds everybody's data.
        except OSError as error:
            raise CommandError(
                f"{path} cannot be made ({error.strerror}): name a new file in a "
                "folder that is there."
            ) from error
        with connection.cursor() as cursor, closing(sqlite3.connect(path)) as copy:
            # Daily is how often SQLite wants to look at its query plans' statistics:
            # https://www.sqlite.org/lang_analyze.html#recommended_usage_patterns
            cursor.execute("PRAGMA optimize")
            connection.connection.backup(copy)
            # One file, with no write-ahead log beside it once it is opened.
            copy.execute("PRAGMA journal_mode=DELETE")
