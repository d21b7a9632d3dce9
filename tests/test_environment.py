"""Environment variables: how they are read, documented, and reported when invalid."""

import json
import os
import re
from pathlib import Path

import pytest
from support.project import python_of, run, uvicorn
from support.server import fetch, free_port, wait_until
from support.site import PRODUCTION

STORAGE = "https://key:secret@s3.example.com/bucket"

# Variables that bootstrap.py reads to find Python and uv. The tools document them.
VARIABLES_OF_TOOLS = {"PATH", "PYENV_ROOT", "UV"}


@pytest.fixture(scope="module")
def documented(bake):
    """Return the names of the variables in .env.example."""
    text = (bake() / ".env.example").read_text("utf-8")
    return set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE))


@pytest.fixture(scope="module")
def read(bake):
    """Return the names of the variables that settings.py and the scripts read."""
    settings = bake() / bake().name / "settings.py"
    name_in_call = re.compile(
        r'\b(?:env(?:\.\w+)?\(|environ(?:ment)?(?:\.\w+\(|\[|,))\s*"([A-Z_]+)"'
    )
    files = (settings, *(bake() / "scripts").glob("*.py"))
    return {name for f in files for name in name_in_call.findall(f.read_text("utf-8"))}


def test_every_documented_variable_is_read(documented, read):
    assert len(documented) > 10
    assert documented - read == set()


def test_every_variable_that_is_read_is_documented(documented, read):
    assert read - documented == VARIABLES_OF_TOOLS


def test_every_variable_has_an_example(documented, bake):
    text = (bake() / ".env.example").read_text("utf-8")
    for name in documented:
        assert re.search(rf"^(# )?(Production: )?{name}=.", text, re.MULTILINE), name


@pytest.fixture
def get_settings(project):
    """Return a function that loads the settings and returns some of them, by name."""
    code = (
        "import json, sys\nfrom {0} import settings\n"
        "print(json.dumps([getattr(settings, name) for name in sys.argv[1:]], default=str))"
    )

    def get_settings(*names, folder=project, **env):
        status, output = run(folder, "-c", code.format(folder.name), *names, env=env)
        assert status == 0, output
        return json.loads(output)

    return get_settings


@pytest.fixture
def get_error(project):
    """Return a function that loads the settings and returns the error message."""

    def get_error(folder=project, **env):
        command = ("-c", f"import {folder.name}.settings")
        status, output = run(folder, *command, env=env)
        assert status == 1, output
        assert len(output.splitlines()) == 1, output
        return output

    return get_error


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SECRET_KEY", "", "is empty"),
        ("DEBUG", "perhaps", "is neither true nor false"),
        ("DEBUG", "true ", "is neither true nor false"),
        ("LIVE_RELOAD", "2", "is neither true nor false"),
        ("ALLOWED_HOSTS", "https://example.com", "is not a host name"),
        ("ALLOWED_HOSTS", "example.com,example.org/", "is not a host name"),
        ("ALLOWED_HOSTS", "example.com:8000", "without a scheme or port"),
        ("ALLOWED_HOSTS", "*.example.com", ".example.com with all its subdomains"),
        ("ALLOWED_HOSTS", "::1", "is not a host name"),
        ("DATABASE_URL", "mysql//nowhere", "is not the URL of a database"),
        ("DATABASE_URL", "postgres://db.example.com:port/db", "is not a URL"),
        ("DATABASE_URL", "postgres://u:12/34@db.example.com/db", "%2F for /"),
        ("DATABASE_URL", "postgres://u@db.example.com", "does not name a database"),
        ("DATABASE_URL", "sqlite://", "does not name a database"),
        ("DATABASE_POOL_MIN", "-1", "is not a whole number"),
        ("DATABASE_POOL_MAX", "many", "is not a whole number"),
        ("EMAIL_URL", "smtp.example.com", "begins with smtp:// or smtps:// or"),
        ("EMAIL_URL", "https://smtp.example.com", "begins with smtp:// or smtps:// or"),
        ("EMAIL_URL", "submission://u:12/34@smtp.example.com", "%2F for /"),
        ("EMAIL_URL", "submission://u:pass#word@smtp.example.com", "%23 for #"),
        ("EMAIL_URL", "smtp://smtp.example.com?tls=true", "has options"),
        ("EMAIL_URL", "smtp://smtp.example.com/true", "has options"),
        ("CACHE_URL", "redis.example.com", "begins with redis:// or rediss://"),
        ("CACHE_URL", "redis://", "names a host"),
        ("CACHE_URL", "redis://redis.example.com:port", "is not a URL"),
        ("CACHE_URL", "redis://:a?b@redis.example.com", "%3F for ?"),
        ("CACHE_URL", "redis://redis.example.com/one", "the number of a database"),
        ("CACHE_URL", "redis://redis.example.com?db=one", "option that is not valid"),
        ("CACHE_URL", "redis://redis.example.com?tls=1", "unexpected keyword"),
        ("STORAGE_URL", "https://[s3.example.com", "is not a URL"),
        ("SENTRY_DSN", "sentry.example.com", "is not a DSN"),
        ("SENTRY_DSN", "https://key@sentry.example.com/shop", "is not a DSN"),
        ("SENTRY_DSN", "https://sentry.example.com/1", "is not a DSN"),
        ("STORAGE_URL", "https://key:12/34@s3.example.com/bucket", "%2F for /"),
        ("STORAGE_URL", "https://key:12@s3.example.com", "does not name a bucket"),
        ("STORAGE_URL", "https://key:12@s3.example.com/b/folder", "name a bucket"),
        ("STORAGE_URL", STORAGE + "?file_overwrite=flase", "neither true nor false"),
        ("STORAGE_URL", STORAGE + "?querystring_expire=1h", "is not a whole number"),
    ],
)
def test_invalid_variable_is_reported(get_error, name, value, reason):
    message = get_error(**{name: value})

    assert f"{name} from the environment " in message
    assert reason in message
    assert f"(example: {name}=" in message
    assert ".env.example" in message
    if "34" in value:
        assert "34" not in message  # It is part of a password.


def test_check_command_reports_an_invalid_variable(project):
    status, output = run(project, "manage.py", "check", env={"CACHE_URL": "redis"})

    assert status == 1
    assert output.startswith("The configuration is not valid: CACHE_URL ")
    assert len(output.splitlines()) == 1


def test_invalid_variable_of_the_env_file_is_reported_as_such(workspace, get_error):
    with (workspace / ".env").open("a", encoding="utf-8") as file:
        file.write("\nCACHE_URL=redis\n")

    message = get_error(workspace, DATABASE_POOL_MAX="ten")

    assert "CACHE_URL from .env is not a URL" in message
    assert "DATABASE_POOL_MAX from the environment is not a whole number" in message


def test_invalid_debug_is_reported_alone(get_error):
    message = get_error(DEBUG="ture", SECRET_KEY="", CACHE_URL="redis")

    assert "DEBUG from the environment is neither true nor false" in message
    assert "SECRET_KEY" not in message
    assert "CACHE_URL" not in message


def test_all_variables_that_production_lacks_are_reported_at_once(workspace, get_error):
    (workspace / ".env").unlink()

    message = get_error(workspace, DEBUG="false", ALLOWED_HOSTS="")

    assert "SECRET_KEY is not set (example: SECRET_KEY=" in message
    assert "ALLOWED_HOSTS from the environment is empty" in message
    for example in (
        "ALLOWED_HOSTS=example.com",
        "CSRF_TRUSTED_ORIGINS=https://example.com",
        "EMAIL_URL=submission://user:password@smtp.example.com",
    ):
        assert f"(example: {example}" in message


def test_debug_is_off_by_default(workspace, get_error):
    (workspace / ".env").unlink()

    assert "EMAIL_URL is not set" in get_error(workspace)


@pytest.mark.parametrize("name", ["SECRET_KEY", "EMAIL_URL", "ALLOWED_HOSTS"])
def test_variable_that_production_requires_has_no_default(get_error, name):
    assert f"{name} from the environment is empty" in get_error(
        **{**PRODUCTION, name: ""}
    )


def test_empty_variable_is_the_default(get_settings):
    empty = dict.fromkeys(("CACHE_URL", "EMAIL_URL", "STORAGE_URL"), "")
    names = ("CACHES", "MAILERS", "STORAGES")

    assert get_settings(*names, **empty) == get_settings(*names)


def test_empty_database_url_is_reported(get_error):
    # The default, an empty SQLite database, would hide the mistake.
    assert "DATABASE_URL from the environment is empty" in get_error(DATABASE_URL="")


@pytest.mark.parametrize(
    "value", ["$SECRET", "a#b", "'a b'", 'a"b', "a\\nb", "é", "a=b"]
)
def test_value_in_the_environment_is_literal(get_settings, value):
    assert get_settings("SECRET_KEY", SECRET_KEY=value) == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$SECRET", "$SECRET"),
        ("a#b", "a#b"),
        ("a # b", "a # b"),
        ("a=b", "a=b"),
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        ("é", "é"),
    ],
)
def test_value_in_the_env_file_is_literal_without_its_quotes(
    workspace, get_settings, text, value
):
    (workspace / ".env").write_text(f"DEBUG=true\nSECRET_KEY={text}\n", "utf-8")

    assert get_settings("SECRET_KEY", folder=workspace) == [value]


@pytest.mark.parametrize("scheme", ["postgres", "postgis"])
def test_database_over_a_network_has_a_pool_and_is_verified(get_settings, scheme):
    (databases,) = get_settings(
        "DATABASES", DATABASE_URL=f"{scheme}://u@db.example.com/name?sslmode=require"
    )

    options = databases["default"]["OPTIONS"]
    assert options["pool"]["max_size"] == 10
    assert options["sslmode"] == "verify-full"


def test_authorities_of_debian_are_trusted_if_python_knows_none(get_settings):
    file = "/etc/ssl/certs/ca-certificates.crt"
    if not Path(file).exists():
        pytest.skip("This is not Debian.")
    (databases,) = get_settings(
        "DATABASES",
        DATABASE_URL="postgres://u@db.example.com/name?sslmode=require",
        SSL_CERT_FILE="/nowhere",
    )

    assert databases["default"]["OPTIONS"]["sslrootcert"] == file


def test_options_of_the_database_are_used(get_settings):
    (databases,) = get_settings(
        "DATABASES", DATABASE_URL="sqlite:////srv/db.sqlite3?timeout=5"
    )

    options = databases["default"]["OPTIONS"]
    assert options["timeout"] == 5
    assert options["transaction_mode"] == "IMMEDIATE"


def test_environment_takes_precedence_over_the_env_file(project, get_settings):
    assert "SECRET_KEY=" in (project / ".env").read_text("utf-8")

    assert get_settings("SECRET_KEY", SECRET_KEY="other") == ["other"]


def test_env_file_may_begin_with_a_byte_order_mark(workspace, get_settings):
    (workspace / ".env").write_text("DEBUG=true\nSECRET_KEY=key\n", "utf-8-sig")

    assert get_settings("DEBUG", "SECRET_KEY", folder=workspace) == [True, "key"]


@pytest.mark.parametrize("command", ["manage.py check", "scripts/serve.py"])
@pytest.mark.parametrize("fault", ["encoding", "folder"])
def test_unreadable_env_file_is_reported(workspace, command, fault):
    env_file = workspace / ".env"
    if fault == "encoding":
        env_file.write_text("DEBUG=true", "utf-16")
    else:
        env_file.unlink()
        env_file.mkdir()

    status, output = run(workspace, *command.split())

    assert status == 1
    assert re.fullmatch(r".*\.env cannot be read .* `python .*`\.\n", output)


def test_password_in_a_url_is_unquoted(get_settings):
    (databases, mailers, storages, caches) = get_settings(
        *("DATABASES", "MAILERS", "STORAGES", "CACHES"),
        DATABASE_URL="postgres://u:1%2F2%40%23%3F@db.example.com:5433/name",
        EMAIL_URL="submission://u:1%2F2%40%23%3F@smtp.example.com:2525",
        STORAGE_URL="https://key:1%2F2%2B@s3.example.com/bucket",
        CACHE_URL="redis://:1%2F2@redis.example.com/1",
    )

    database, smtp = databases["default"], mailers["smtp"]["OPTIONS"]
    assert (database["PASSWORD"], database["HOST"], database["PORT"]) == (
        *("1/2@#?", "db.example.com"),
        5433,
    )
    assert (smtp["password"], smtp["host"], smtp["port"]) == (
        *("1/2@#?", "smtp.example.com"),
        2525,
    )
    assert storages["default"]["OPTIONS"]["secret_key"] == "1/2+"
    # redis-py unquotes the password itself.
    assert caches["default"]["LOCATION"] == "redis://:1%2F2@redis.example.com/1"


@pytest.mark.parametrize("text", ["false", "False", "no", "off", "0"])
def test_boolean_options_of_the_storage_are_no_text(get_settings, text):
    (storages,) = get_settings(
        "STORAGES", STORAGE_URL=f"{STORAGE}?file_overwrite={text}&querystring_auth=yes"
    )

    options = storages["default"]["OPTIONS"]
    assert (options["file_overwrite"], options["querystring_auth"]) == (False, True)


@pytest.mark.parametrize(
    ("query", "origin"),
    [
        ("custom_domain=cdn.example.com", "https://cdn.example.com"),
        ("custom_domain=cdn.example.com/files", "https://cdn.example.com"),
        ("custom_domain=cdn:8443&url_protocol=http:", "http://cdn:8443"),
        ("addressing_style=virtual", "https://bucket.s3.example.com"),
    ],
)
def test_images_from_the_storage_are_allowed(get_settings, query, origin):
    (policy,) = get_settings("SECURE_CSP", STORAGE_URL=f"{STORAGE}?{query}")

    assert origin in policy["img-src"]
    assert origin in policy["media-src"]


def test_localhost_is_always_allowed_with_debug(get_settings):
    (hosts,) = get_settings("ALLOWED_HOSTS", ALLOWED_HOSTS="example.com")

    assert {"example.com", ".localhost", "127.0.0.1", "[::1]"} <= set(hosts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["runserver", "uvicorn"])
def test_reload_reads_an_edited_env_file(workspace, serve, name):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    runserver = [python_of(workspace), "manage.py", "runserver", str(port)]
    commands = {
        "runserver": runserver,
        "uvicorn": [*uvicorn(workspace, port), "--reload"],
    }
    server = serve(commands[name], cwd=workspace, url=f"{address}/livez")
    assert fetch(f"{address}/nowhere")[2].count("DEBUG = True")

    env_file = workspace / ".env"
    text = env_file.read_text("utf-8").replace("DEBUG=true", "DEBUG=false")
    env_file.write_text(
        text + "".join(f"\n{n}={v}" for n, v in PRODUCTION.items() if n != "SECRET_KEY")
    )

    def is_restarted():
        # Neither server watches .env; each restarts when a Python file is saved.
        os.utime(workspace / "ops" / "health.py")
        return "DEBUG = True" not in fetch(f"{address}/nowhere")[2]

    wait_until(is_restarted, lambda: server.output)
