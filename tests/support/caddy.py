"""The project's Caddyfile, run by Caddy with certificates of its own authority."""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from .server import Server, free_port, wait_until
from .tools import find_program

# The options that come before the project's Caddyfile: no fixed ports, and no attempt to
# get a certificate or to install the authority in the system.
OPTIONS = """\
{{
	admin off
	auto_https disable_redirects
	skip_install_trust
	http_port {http}
	storage file_system {folder}
	local_certs
}}
"""


@contextlib.contextmanager
def caddy(project, upstream, edit=lambda text: text):
    """
    Serve a project's site at https://localhost through its Caddyfile.

    `upstream` is the port of the site, `edit` changes the text of the Caddyfile. Yields
    the URL and the path of the authority's certificate.
    """
    program = find_program("caddy")
    folder = Path(tempfile.mkdtemp(prefix="caddy-"))
    port = free_port()
    text = (project / "deploy" / "Caddyfile").read_text("utf-8")
    text = edit(text).replace(f"/srv/{project.name}/media", str(project / "media"))
    options = OPTIONS.format(http=free_port(), folder=folder)
    (folder / "Caddyfile").write_text(options + text, "utf-8")
    env = {
        **os.environ,
        "DOMAIN": f"https://localhost:{port}",
        "UPSTREAM": f"127.0.0.1:{upstream}",
        "HOME": str(folder),
    }
    command = [
        program,
        "run",
        "--config",
        folder / "Caddyfile",
        "--adapter",
        "caddyfile",
    ]
    server = Server(command, folder, env)
    certificate = folder / "pki" / "authorities" / "local" / "root.crt"
    try:
        wait_until(
            lambda: (
                certificate.exists()
                and re.search("serving initial configuration", server.output)
            ),
            lambda: f"Caddy did not start:\n{server.output}",
        )
        yield f"https://localhost:{port}", certificate
    finally:
        server.stop()
        shutil.rmtree(folder)
