import os
import re
import shutil
import subprocess
from pathlib import Path

from django.core.management import CommandError
from django.db import connection


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
