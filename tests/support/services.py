"""PostgreSQL and Redis, started by the tests on free ports of 127.0.0.1."""

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import trustme

from .server import free_port
from .tools import find_program

# Where Debian installs the programs, newest version first.
POSTGRESQL_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PostgreSQL:
    """A PostgreSQL server in which tests create databases."""

    def __init__(self):
        self.programs = {
            name: find_program(name, *POSTGRESQL_FOLDERS)
            for name in ("initdb", "pg_ctl", "createdb")
        }
        # Not in pytest's folder, which the user "postgres" cannot enter.
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self.user = {}
        if os.geteuid() == 0:
            self.user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres")
        self.port = free_port()
        self.names = (f"site{number}" for number in itertools.count())
        data = ("-D", self.folder / "data", "--no-sync")
        self.run("initdb", *data, "-U", "postgres", "-A", "trust")
        self.start()

    def run(self, program, *arguments):
        subprocess.run(
            [self.programs[program], *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **self.user,
        )

    def start(self):
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
            " -c fsync=off"
        )
        data, log = self.folder / "data", self.folder / "log"
        self.run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", options)

    def stop(self):
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", self.folder / "data")

    def start_tls(self):
        """Turn on TLS, for the name localhost; return the authority's certificate."""
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        data = self.folder / "data"
        for path, blob in (
            (data / "server.crt", certificate.cert_chain_pems[0]),
            (data / "server.key", certificate.private_key_pem),
        ):
            blob.write_to_path(path)
            path.chmod(0o600)
            if self.user:
                shutil.chown(path, self.user["user"])
        (data / "postgresql.auto.conf").write_text("ssl = on\n")
        self.run("pg_ctl", "reload", "-D", data)
        authority.cert_pem.write_to_path(self.folder / "authority.pem")
        return self.folder / "authority.pem"

    def new_database(self):
        """Create a database; return its DATABASE_URL."""
        name = next(self.names)
        server = ("-h", self.folder, "-p", str(self.port), "-U", "postgres")
        self.run("createdb", *server, name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"


class Redis:
    """A Redis server, which loses its data when it is stopped."""

    def __init__(self, password=""):
        self.programs = {
            name: find_program(name) for name in ("redis-server", "redis-cli")
        }
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.password = password
        self.port = free_port()
        self.numbers = itertools.cycle(range(16))
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [
                *(self.programs["redis-server"], "--bind", "127.0.0.1"),
                *("--port", str(self.port), "--dir", self.folder, "--save", ""),
                *("--requirepass", self.password),
                # Tests cause errors with CONFIG and DEBUG.
                *("--enable-protected-configs", "yes", "--enable-debug-command", "yes"),
            ],
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                break

    def stop(self):
        self.process.send_signal(signal.SIGCONT)  # A test may have stopped it.
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def command(self, text):
        """Run a command of Redis; return the reply, which may be an error."""
        address = ("-h", "127.0.0.1", "-p", str(self.port))
        done = subprocess.run(
            [self.programs["redis-cli"], *address, *shlex.split(text)],
            env={**os.environ, "REDISCLI_AUTH": self.password},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        return done.stdout

    def new_url(self):
        """Return the CACHE_URL of a database that is empty."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/{next(self.numbers)}"
