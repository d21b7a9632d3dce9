"""Run a script with the Python of .venv, whether or not the environment is active."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"


def use_venv() -> None:
    """
    Start the running script again with the Python of .venv, and change to the project.

    Ends the program with a message if .venv does not exist or is incomplete. A machine
    without .venv, such as a container, may have the packages in its own Python.
    """
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    exists = python.exists() and (VENV / "pyvenv.cfg").exists()
    if exists and Path(sys.prefix).resolve() != VENV.resolve():
        command = [str(python), str(Path(sys.argv[0]).resolve()), *sys.argv[1:]]
        if os.name != "nt":
            os.execv(command[0], command)
        # Windows cannot replace a process. The child process handles Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.call(command))
    if not importlib.util.find_spec("uvicorn"):
        state = "incomplete" if exists else "missing"
        sys.exit(f".venv is {state}: run `python scripts/bootstrap.py`.")
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)
