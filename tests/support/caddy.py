"""The project's Caddyfile, run by Caddy with certificates of its own authority."""

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from .server import Server, accept, copy, free_port, wait_until
from .tools import find_program

# The options that come before a Caddyfile: no fixed ports, and no attempt to
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


# A content delivery network, or another proxy in front of the project's.
CDN = """\
https://localhost:{port} {{
	reverse_proxy https://127.0.0.1:{upstream} {{
		header_up Host {{http.request.hostport}}
		transport http {{
			tls_server_name localhost
			tls_insecure_skip_verify
		}}
	}}
}}
"""


@contextlib.contextmanager
def caddy(project, upstream, edit=lambda text: text):
    """
    Serve a project's site at https://localhost through its Caddyfile.

    `upstream` is the port of the site, `edit` changes the text of the Caddyfile. Yields
    the URL and the path of the authority's certificate.
    """
    port = free_port()
    text = edit((project / "deploy" / "Caddyfile").read_text("utf-8"))
    text = text.replace(f"/srv/{project.name}/media", str(project / "media"))
    variables = {
        "DOMAIN": f"https://localhost:{port}",
        "UPSTREAM": f"127.0.0.1:{upstream}",
    }
    with run(text, variables) as certificate:
        yield f"https://localhost:{port}", certificate


@contextlib.contextmanager
def cdn(origin, address):
    """
    Serve the site at the URL `origin` at another URL of https://localhost, as a CDN does.

    `address`, of 127.0.0.0/8, is the address from which it connects to the origin. Yields
    the URL and the path of the authority's certificate.
    """
    port = free_port()
    with (
        relay(urlsplit(origin).port, address) as upstream,
        run(CDN.format(port=port, upstream=upstream), {}) as certificate,
    ):
        yield f"https://localhost:{port}", certificate


@contextlib.contextmanager
def relay(port, address):
    """Yield another port for the server at `port`, which sees `address` as the client."""

    async def connect(reader, writer):
        to = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        await asyncio.gather(copy(reader, to[1]), copy(to[0], writer))

    with accept(connect) as own_port:
        yield own_port


@contextlib.contextmanager
def run(text, variables):
    """Run Caddy with a Caddyfile; yield the path of its authority's certificate."""
    folder = Path(tempfile.mkdtemp(prefix="caddy-"))
    file = folder / "Caddyfile"
    file.write_text(OPTIONS.format(http=free_port(), folder=folder) + text, "utf-8")
    command = [find_program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
    server = Server(command, folder, {**os.environ, **variables, "HOME": str(folder)})
    certificate = folder / "pki" / "authorities" / "local" / "root.crt"
    try:
        wait_until(
            lambda: (
                certificate.exists()
                and re.search("serving initial configuration", server.output)
            ),
            lambda: f"Caddy did not start:\n{server.output}",
        )
        yield certificate
    finally:
        server.stop()
        shutil.rmtree(folder)
