import shutil
import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from datetime import datetime
from pathlib import Path

from django.core.management import BaseCommand, CommandError
from django.db import connection

from ops import postgresql


class Command(BaseCommand):
    help = (
        "Replaces the database with a backup that backup_db has created, and keeps the "
        "previous data in a file. Stop the site and its worker first."
    )
    # The database may be empty or damaged.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the backup")
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="do not ask for confirmation",
        )

    def handle(self, path: Path, *, interactive: bool, **options: object) -> None:
        restores = {"sqlite": restore_sqlite, "postgresql": postgresql.restore}
        if connection.vendor not in restores:
            raise CommandError(
                f"The database is {connection.display_name}. Use its own tools."
            )
        name = connection.settings_dict["NAME"]
        question = (
            f"Replace all data in the database {name} by {path}? Type yes or no: "
        )
        if interactive and input(question) != "yes":
            raise CommandError("Nothing was changed.")
        try:
            kept = restores[connection.vendor](path)
        except OSError as error:
            raise CommandError(f"{path} cannot be restored: {error}") from error
        if kept:
            self.stdout.write(f"The previous data is in {kept}")
        self.stdout.write(
            "The backup is restored. If it is from an older release, run "
            "`python manage.py migrate`."
        )


def restore_sqlite(path: Path) -> Path | None:
    """
    Replace the database file; return the path of the previous one, if there was one.

    Raises CommandError if `path` is not a sound backup or the database is in use.
    """
    connection.close()
    database = Path(connection.settings_dict["NAME"]).resolve()
    new = database.with_name(f"{database.name}.new")
    new.touch(mode=0o600)
    try:
        copy_sqlite(path, new)
        kept = set_aside(database)
        if kept:
            shutil.copymode(kept, new)
        new.rename(database)
    finally:
        new.unlink(missing_ok=True)
    return kept


def copy_sqlite(path: Path, new: Path) -> None:
    """Copy a backup to the file `new`, and check the copy."""
    try:
        with (
            closing(
                sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            ) as old,
            closing(sqlite3.connect(new)) as copy,
        ):
            old.backup(copy)
            ((result,), *_) = copy.execute("PRAGMA integrity_check")
            copy.execute("SELECT name FROM django_migrations")
    except sqlite3.Error as error:
        result = str(error)
    if result != "ok":
        raise CommandError(
            f"{path} is not a sound backup of this site ({result}). Nothing was changed."
        )


def set_aside(database: Path) -> Path | None:
    """Rename the files of a database; return the new path, or None without a file."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as old:
            # Do not delete the write-ahead log of a damaged database.
            old.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
            # Move the log into the file. SQLite does so only if no other process has
            # the database open.
            old.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        if error.sqlite_errorname == "SQLITE_BUSY":
            raise CommandError(
                "The database is in use. Stop the site and its worker, and try again. "
                "Nothing was changed."
            ) from error
        # Otherwise the database is damaged.
    kept = database.with_name(f"{database.name}.{datetime.now():%Y-%m-%d_%H%M%S_%f}")
    for suffix in ("-wal", "-shm", "-journal", ""):
        file = Path(f"{database}{suffix}")
        if file.exists():
            file.rename(f"{kept}{suffix}")
    return kept
