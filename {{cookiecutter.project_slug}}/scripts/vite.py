"""Vite's server, which serves frontend/ to the pages of dev.py: https://vite.dev/"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def start_vite(listener: socket.socket) -> None:
    """Run Vite's server on the port of a socket, if it is installed, until dev.py ends."""
    port = str(listener.getsockname()[1])
    listener.close()
    node = shutil.which("node")
    script = ROOT / "node_modules" / "vite" / "bin" / "vite.js"
    if not node or not script.exists():
        print("Vite is not installed: run `python scripts/bootstrap.py`.", flush=True)
        return
    os.environ["VITE_PORT"] = port  # Read by settings.py.
    # Without npm in between, which would not end together with Vite on Windows.
    command = [node, str(script), "--port", port, "--logLevel", "warn"]
    vite = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        vite.terminate()
        vite.wait()

    def report() -> None:
        # Ctrl-C is sent to both servers: wait for dev.py to stop, too.
        if vite.wait() and not stopping.wait(3):
            print("Vite has stopped: start dev.py again.", file=sys.stderr, flush=True)

    atexit.register(stop)
    threading.Thread(target=report, daemon=True).start()
