"""Tasks that leave a line in the file `chores.log` when they begin and end."""

import os
import time
from pathlib import Path

from django.tasks import task

LOG = Path(__file__).with_name("chores.log")


def note(what, name):
    with LOG.open("a") as log:
        log.write(f"{what} {name} {os.getpid()}\n")


@task
def wait_for(file, name):
    """Go on as soon as the file exists."""
    note("begin", name)
    while not LOG.with_name(file).exists():
        time.sleep(0.05)
    note("end", name)


@task
def wait_for_another_worker(name):
    """Go on as soon as a second worker has begun with something, too."""
    note("begin", name)
    while len({line.split()[2] for line in LOG.read_text().splitlines()}) < 2:
        time.sleep(0.05)
    note("end", name)


@task
def fail_twice(name):
    """Raise an error, but not the third time."""
    note("begin", name)
    if LOG.read_text().count(f"begin {name} ") < 3:
        raise ValueError("Not yet.")
    note("end", name)
