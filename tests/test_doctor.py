"""`manage.py doctor` on a site behind Caddy, with PostgreSQL and Redis."""

import contextlib
import os
import sys
from types import SimpleNamespace

import pytest
import requests
from support.caddy import caddy, relay
from support.project import copy_project, python_of, run
from support.server import Server, free_port
from support.site import PRODUCTION, mail_server

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(released, postgresql, redis, tmp_path_factory):
    """
    Serve a copy of the released project behind Caddy, with a worker.

    `manage()` runs a command of manage.py with other variables, and returns its status
    and its output. `mail()` returns the e-mails that were sent. `env` is what was added
    to the environment of its processes.
    """
    folder = copy_project(released, tmp_path_factory.mktemp("doctor"))
    port = free_port()
    with contextlib.ExitStack() as stack:
        mail_port, mail = stack.enter_context(mail_server())
        url, certificate = stack.enter_context(caddy(folder, port))
        env = {
            **PRODUCTION,
            "CSRF_TRUSTED_ORIGINS": url,
            "DATABASE_URL": postgresql.new_database(),
            "CACHE_URL": redis.new_url(),
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
            "PORT": str(port),
            "WEB_CONCURRENCY": "1",
            # The authority of Caddy's certificate.
            "SSL_CERT_FILE": str(certificate),
        }

        def manage(*command, **changes):
            return run(folder, "manage.py", *command, env={**env, **changes})

        status, output = manage("migrate")
        assert status == 0, output
        for command in (["manage.py", "ox_worker"], ["scripts/serve.py"]):
            command = [python_of(folder), *command]
            server = Server(command, folder, {**os.environ, **env})
            stack.callback(server.stop)
        server.wait_until_up(f"http://127.0.0.1:{port}/livez")

        yield SimpleNamespace(manage=manage, mail=mail, folder=folder, env=env)


def test_every_check_passes_on_a_working_site(site):
    status, output = site.manage("doctor", "--mail-to", "ada@example.com")

    assert status == 0, output
    assert "this client is seen as 127.0.0.1 over https" in output
    assert "The mail server works." in site.mail()
    assert PRODUCTION["SECRET_KEY"] not in output


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ALLOWED_HOSTS", "https://localhost", "which is not a host name"),
        ("ALLOWED_HOSTS", "localhost:8000", "without a scheme or port"),
        ("FORWARDED_ALLOW_IPS", "caddy", "'caddy', which is not an IP address"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.0/33", "'10.0.0.0/33', which is not"),
        ("DEBUG", "ture", "DEBUG from the environment is neither true nor false"),
        ("EMAIL_URL", "submission://u:12/34@smtp.example.com", "write %2F for /"),
        ("DATABASE_URL", "postgres://u:12/34@localhost/db", "write %2F for /"),
        ("STORAGE_URL", "https://key:12/34@s3.example.com/b", "write %2F for /"),
        ("STORAGE_URL", "https://k:s@h/b?file_overwrite=flase", "neither true nor"),
        ("STORAGE_URL", "https://k:s@h/b?file_overwrit=false", "'file_overwrit'"),
        ("CACHE_URL", "redis://127.0.0.1/1?tls=1", "option that is not valid"),
        ("DATABASE_URL", "postgres://u@127.0.0.1:1/db", "failed"),
        ("CACHE_URL", "redis://127.0.0.1:1", "check CACHE_URL"),
        ("EMAIL_URL", "smtp://127.0.0.1:1", "Connection refused"),
        ("STORAGE_URL", "http://key:secret@127.0.0.1:1/b", "127.0.0.1:1"),
    ],
)
def test_wrong_variable_is_reported(site, variable, value, message):
    status, output = site.manage("doctor", **{variable: value})

    assert status == 1
    assert message in output
    assert "\nTraceback" not in output


def test_pending_migration_is_reported(site, postgresql):
    status, output = site.manage("doctor", DATABASE_URL=postgresql.new_database())

    assert status == 1
    assert "pending migrations: run `manage.py migrate`" in output


@pytest.mark.parametrize(
    ("fault", "repair"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("CONFIG SET requirepass other", "--pass other CONFIG SET requirepass ''"),
    ],
)
def test_cache_that_refuses_writes_is_reported(site, redis, fault, repair):
    redis.command(fault)
    try:
        status, output = site.manage("doctor")
    finally:
        redis.command(repair)

    assert status == 1
    assert "a value was written but not read back" in output


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
@pytest.mark.parametrize(
    ("trusted", "forwards_all", "message"),
    [
        ("", False, "arrive as http from 127.0.3.1: add the address of the proxy to"),
        ("127.0.3.1", False, None),
        ("127.0.0.0/8,::1", True, "a client can forge its address"),
    ],
    ids=["not trusted", "trusted", "forged"],
)
def test_trust_in_the_proxy_is_checked(site, serve, trusted, forwards_all, message):
    def edit(text):
        return text.replace(
            "# trusted_proxies 192.0.2.0/24", "trusted_proxies 127.0.0.1"
        )

    port = free_port()
    env = {**site.env, "PORT": str(port)} | (
        {"FORWARDED_ALLOW_IPS": trusted} if trusted else {}
    )
    server = serve(
        [python_of(site.folder), "scripts/serve.py"],
        site.folder,
        env,
        f"http://127.0.0.1:{port}/livez",
    )
    with (
        relay(port, "127.0.3.1") as upstream,
        caddy(site.folder, upstream, edit if forwards_all else str) as (url, root),
    ):
        response = requests.get(url, verify=root, allow_redirects=False)
        status, output = site.manage("doctor", "--url", url, SSL_CERT_FILE=str(root))

    if not message:
        assert (status, response.status_code) == (0, 200), output
        return
    assert status == 1
    assert message in output
    if not trusted:
        assert response.headers["Location"] == f"{url}/"
        assert server.output.count("The proxy 127.0.3.1 is not trusted") == 1


def test_worker_that_does_not_run_is_reported(site, postgresql):
    env = {"DATABASE_URL": postgresql.new_database()}
    site.manage("migrate", **env)

    status, output = site.manage("doctor", **env)

    assert status == 1
    assert "start `manage.py ox_worker`" in output
