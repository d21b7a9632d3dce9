"""Backups of PostgreSQL, with its own client programs."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.management import CommandError, call_command
from django.db import connection


def back_up(path: Path) -> None:
    """Write a backup of the site's database, which `restore` can read, to a file."""
    run_client("pg_dump", "--format=custom", f"--file={path}")


def restore(path: Path) -> Path | None:
    """
    Replace the tables in one transaction; return the path of a backup of the old ones.

    Raises CommandError if `path` is not a sound backup or the database is in use.
    """
    if " django_migrations " not in run_client("pg_restore", "--list", path):
        raise CommandError(f"{path} is not a backup of this site. Nothing was changed.")
    kept = None
    if connection.introspection.table_names():
        kept = path.with_name(f"{datetime.now():%Y-%m-%d_%H%M%S_%f}-{path.name}")
        call_command("backup_db", kept)
    with TemporaryDirectory() as folder:
        # Read the whole backup before the first table is dropped. pg_restore --clean
        # would drop only the tables that are in the backup.
        script = Path(folder) / "restore.sql"
        run_client("pg_restore", "--no-owner", f"--file={script}", path)
        run_client(
            "psql",
            *("--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1"),
            "--command=SET lock_timeout = '10s'",
            "--command=DROP SCHEMA public CASCADE",
            "--command=CREATE SCHEMA public",
            # As in a new database, for users who may only read.
            "--command=GRANT USAGE ON SCHEMA public TO PUBLIC",
            f"--file={script}",
        )
    return kept


def run_client(name: str, *arguments: str | Path) -> str:
    """
    Run a client program of PostgreSQL on the site's database; return its output.

    Raises CommandError if the program is missing, older than the server, or fails.
    """
    connection.ensure_connection()
    server = connection.connection.info.server_version // 10000
    program = shutil.which(name)
    if not program:
        raise CommandError(
            f"{name} is not installed. Install the client programs of PostgreSQL "
            f"{server} or newer."
        )
    version = subprocess.run(
        [program, "--version"], capture_output=True, check=True, encoding="utf-8"
    ).stdout
    major = re.search(r"\d+", version)
    if major and int(major[0]) < server:
        raise CommandError(
            f"{name} {major[0]} is older than the server. Install the client programs "
            f"of PostgreSQL {server} or newer."
        )
    # The options of the connection, with the password: other users of the machine can
    # read arguments, but not the environment.
    options = {
        option.envvar.decode(): option.val.decode()
        for option in connection.connection.pgconn.info
        if option.envvar and option.val
    }
    result = subprocess.run(
        [program, "--no-password", *arguments],
        env={**os.environ, **options},
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode:
        raise CommandError(f"{name} failed: {result.stderr.strip()}")
    return result.stdout
