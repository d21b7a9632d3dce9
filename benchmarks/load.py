"""Measure a generated project under its own server, and under others.

    python benchmarks/load.py [--quick] [lane] [peers] [waits] [beside]
                              [sqlite] [start]

Prints the tables of each name given or, without one, of all: about twenty-five minutes, or
two with --quick, which takes one round and tells no more than whether it works.
Needs Linux, cookiecutter, uv and wrk.

One project is made, with production settings, the views of site/bench/ in addition, and
gunicorn and granian in its environment. The servers of a table are all up at once and
are asked in turns, a second each, so that they all meet the same machine. A figure is
the median of the rounds.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

BENCHMARKS = Path(__file__).resolve().parent
PYTHON = ".venv/bin/python"
ENVIRONMENT = {
    "DEBUG": "false",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "127.0.0.1",
    "CSRF_TRUSTED_ORIGINS": "https://127.0.0.1",
    "EMAIL_URL": "smtp://127.0.0.1",
}
ADDED = {
    "settings.py": """
INSTALLED_APPS += ["bench"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
""",
    "urls.py": """
urlpatterns += [path("", include("bench.urls"))]
""",
}
# A browser's request, as the proxy that ends TLS passes it on.
HEADERS = {"X-Forwarded-Proto": "https", "Accept-Encoding": "gzip, br"}

UVICORN = "-m uvicorn --no-access-log --port {port}"
GUNICORN = "-m gunicorn --bind 127.0.0.1:{port} --workers {workers}"
GRANIAN = "-m granian --interface wsgi --port {port} --workers {workers}"
SERVERS = {
    "serve.py": "scripts/serve.py",
    "uvicorn": f"{UVICORN} --workers {{workers}} my_site.asgi:application",
    "uvicorn, stock ASGI": f"{UVICORN} --workers {{workers}} bench.stock:application",
    "gunicorn, 4 threads": f"{GUNICORN} --threads 4 bench.wsgi",
    "gunicorn, 32 threads": f"{GUNICORN} --threads 32 bench.wsgi",
    "gunicorn, sync": f"{GUNICORN} bench.wsgi",
    "granian, 32 threads": f"{GRANIAN} --blocking-threads 32 bench.wsgi:application",
    "granian, WSGI": f"{GRANIAN} bench.wsgi:application",
    "runserver": "manage.py runserver --noreload {port}",
    "startproject, uvicorn": f"{UVICORN} --app-dir bare bare.asgi:application",
}


class Run(NamedTuple):
    """What wrk saw: requests a second, milliseconds, and requests that failed."""

    rate: float
    p50: float
    p99: float
    failed: int


class Server:
    """A server on a free port; `with` waits until it has answered, and ends it."""

    def __init__(self, project, name, workers=1, **env):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        arguments = SERVERS[name].format(port=self.port, workers=workers)
        own = {"PORT": str(self.port), "WEB_CONCURRENCY": str(workers)}
        self.process = subprocess.Popen(
            [project / PYTHON, *arguments.split()],
            cwd=project,
            env={**os.environ, **ENVIRONMENT, **own, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self):
        while self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("GET", "/", headers=HEADERS)
                connection.getresponse().read()
                return self
            time.sleep(0.002)
        sys.exit(f"It ended at once: {self.process.args}")

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, connections, seconds):
        """Let so many clients ask one request after another; return what they saw."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30"]
        for name, value in HEADERS.items():
            command += ["-H", f"{name}: {value}"]
        command += ["-s", BENCHMARKS / "wrk.lua", f"http://127.0.0.1:{self.port}{path}"]
        output = subprocess.check_output(command, encoding="utf-8")
        *figures, failed = output.splitlines()[-1].split()
        return Run(*map(float, figures), int(failed))

    def read(self, name):
        """Return the text of a file in /proc, for each of its processes."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(folder.name)) == self.process.pid:
                    yield (folder / name).read_text()

    def memory(self):
        """Return the MiB of its processes; a page that n of them share counts 1/n."""
        texts = self.read("smaps_rollup")
        return sum(int(text.split("\nPss:")[1].split()[0]) for text in texts) / 1024

    def cpu(self):
        """Return the seconds of CPU that its processes have used."""
        # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
        fields = [text.rpartition(")")[2].split() for text in self.read("stat")]
        ticks = sum(int(words[11]) + int(words[12]) for words in fields)
        return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(project, names, workers):
    """Yield the Server of each name; all are up at once."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Server(project, name, workers)) for name in names
        }


def make_project(folder):
    """Return a project that is ready for production, with the views to measure."""
    call(
        sys.executable,
        "-m",
        "cookiecutter",
        "--no-input",
        BENCHMARKS.parent,
        cwd=folder,
    )
    project = folder / "my_site"
    (project / ".env").unlink()
    shutil.copytree(BENCHMARKS / "site", project, dirs_exist_ok=True)
    for name, lines in ADDED.items():
        with (project / "my_site" / name).open("a", encoding="utf-8") as file:
            file.write(lines)
    uv = shutil.which("uv") or Path(sys.executable).with_name("uv")
    call(uv, "pip", "install", "gunicorn~=27.0", "granian~=2.8", cwd=project)
    call(project / PYTHON, "manage.py", "migrate", "--run-syncdb", cwd=project)
    call(project / PYTHON, "manage.py", "collectstatic", "--no-input", cwd=project)
    call(project / PYTHON, "-m", "django", "startproject", "bare", cwd=project)
    return project


def call(*command, cwd, **env):
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nThis failed: {' '.join(map(str, command))}")


def lane(project, rounds):
    """One worker each: what asgi.py is for."""
    names = "uvicorn", "uvicorn, stock ASGI", "gunicorn, 4 threads", "gunicorn, sync"
    compare(project, names, 1, paths_of(project), [32], rounds)


def peers(project, rounds):
    """Two workers each (runserver is always one process): what a site is served by."""
    names = (
        "serve.py",
        "uvicorn, stock ASGI",
        "gunicorn, 4 threads",
        "gunicorn, sync",
        "granian, WSGI",
        "runserver",
    )
    asked = paths_of(project)
    del asked["async JSON"]
    compare(project, names, 2, asked, [1, 32, 256], rounds)


def waits(project, rounds):
    """Two workers each, and views that wait as for a database on another machine."""
    names = (
        "serve.py",
        "uvicorn, stock ASGI",
        "gunicorn, 4 threads",
        "gunicorn, 32 threads",
        "granian, 32 threads",
    )
    asked = {f"waits {ms} ms": f"/wait/{ms}/" for ms in (5, 20, 100)}
    compare(project, names, 2, asked, [8, 32, 300], rounds)


def beside(project, rounds):
    """Two workers each, and the home page beside views that compute or wait."""
    names = (
        "serve.py",
        "gunicorn, 4 threads",
        "gunicorn, 32 threads",
        "granian, 32 threads",
    )
    cases = {
        "8 at a time, beside 2 that compute 50 ms": (8, "/compute/50/", 2),
        "16 at a time, beside 64 that wait 200 ms": (16, "/wait/200/", 64),
    }
    runs = defaultdict(list)
    with serving(project, names, 2) as servers, ThreadPoolExecutor() as pool:
        for _, case, name in itertools.product(range(rounds), cases, names):
            clients, path, others = cases[case]
            slow = pool.submit(servers[name].ask, path, others, 3)
            time.sleep(0.5)
            runs[case, name].append(servers[name].ask("/", clients, 2))
            slow.result()
    rows = {name: [describe(runs[case, name]) for case in cases] for name in names}
    print_table("home page", cases, rows)


def sqlite(project, rounds):
    """64 writers and 64 readers at the same time, on two workers."""
    seconds = 4 * rounds
    with Server(project, "serve.py", 2) as server, ThreadPoolExecutor() as pool:
        asking = {
            name: pool.submit(server.ask, f"/{name}/", 64, seconds)
            for name in ("write", "read")
        }
        rows = {name: [describe([run.result()])] for name, run in asking.items()}
    print_table(f"64 of each for {seconds} s", ["serve.py"], rows)


def start(project, rounds):
    """From the command to the first page."""
    first, *others = names = "startproject, uvicorn", "uvicorn", "serve.py"
    took = defaultdict(list)
    # The first round makes the bytecode, and is not counted.
    for number, name in itertools.product(range(4 * rounds + 1), names):
        began = time.perf_counter()
        with Server(project, name):
            if number:
                took[name].append(time.perf_counter() - began)
    rows = {name: [f"{median(took[name]):.2f} s"] for name in names}
    for name in others:
        rows[name].append(times(took[name], took[first]))
    print_table("first page", ["after", f"times {first}"], rows)


def paths_of(project):
    manifest = (project / "staticfiles/staticfiles.json").read_text(encoding="utf-8")
    return {
        "home page": "/",
        "database read": "/read/",
        "database write": "/write/",
        "async JSON": "/json/",
        "static file": f"/static/{json.loads(manifest)['paths']['site.css']}",
    }


def compare(project, names, workers, asked, concurrencies, rounds):
    """Ask the servers in turns; print what they did, and what the first one leads by."""
    runs = defaultdict(list)
    cpu = defaultdict(float)
    with serving(project, names, workers) as servers:
        for server, path in itertools.product(servers.values(), asked.values()):
            server.ask(path, 32, 1)  # It warms up.
        turns = itertools.product(range(rounds), concurrencies, asked, names)
        for _, connections, what, name in turns:
            before = servers[name].cpu()
            run = servers[name].ask(asked[what], connections, 1)
            runs[connections, what, name].append(run)
            cpu[what, name] += servers[name].cpu() - before
        memory = {name: [f"{servers[name].memory():.0f} MiB"] for name in names}

    first, *others = names
    for connections in concurrencies:
        rows = {
            name: [describe(runs[connections, what, name]) for what in asked]
            for name in names
        }
        print_table(f"{connections} at a time", asked, rows)
    for connections in concurrencies:
        rates = {
            (what, name): [run.rate for run in runs[connections, what, name]]
            for what, name in itertools.product(asked, names)
        }
        rows = {
            name: [times(rates[what, first], rates[what, name]) for what in asked]
            for name in others
        }
        print_table(f"{first}, {connections} at a time: times", asked, rows)
    served = {
        (what, name): sum(
            run.rate for n in concurrencies for run in runs[n, what, name]
        )
        for what, name in itertools.product(asked, names)
    }
    rows = {
        name: [
            f"{1000 * cpu[what, name] / served[what, name]:.2f}"
            if served[what, name]
            else "no response"
            for what in asked
        ]
        for name in names
    }
    print_table("milliseconds of CPU for each", asked, rows)
    print_table("memory", ["after that"], memory)


def describe(runs):
    """Return requests a second (milliseconds at p50 and p99), and what failed."""
    rate, p50, p99, _ = map(median, zip(*runs))
    failed = sum(run.failed for run in runs)
    return f"**{rate:,.0f}** ({p50:.1f}, {p99:.1f})" + f", {failed} failed" * (
        failed > 0
    )


def times(ours, theirs):
    """Return how many times theirs ours is, by the median of the rounds."""
    ratios = [a / b for a, b in zip(ours, theirs) if b]
    return f"{median(ratios):.2f}" if ratios else "no response"


def print_table(title, columns, rows):
    print(f"\n| {title} | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


TABLES = {
    table.__name__: table for table in (lane, peers, waits, beside, sqlite, start)
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*", choices=["all", *TABLES], default="all")
    parser.add_argument("--quick", action="store_true", help="one round, not five")
    options = parser.parse_args()
    # Where it is set, every start would compile all of Django.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        for name in TABLES if "all" in options.tables else options.tables:
            TABLES[name](project, 1 if options.quick else 5)


if __name__ == "__main__":
    main()
