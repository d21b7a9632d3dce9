from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core import signing
from django.core.management import CommandError, call_command
from django_ox.backend import OxBackend

from ops.management.commands import doctor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def run(settings, monkeypatch):
    """Return a function that runs doctor in development, and returns its output."""
    settings.DEBUG = True
    monkeypatch.setattr(doctor, "TIMEOUT", 0.5)

    def run(**options):
        output = StringIO()
        try:
            call_command("doctor", stdout=output, **options)
        except CommandError as error:
            output.write(str(error))
        return output.getvalue()

    return run


def test_every_check_passes(run):
    output = run()

    assert "failed" not in output
    assert output.count("ok") >= 5


def test_secrets_are_not_shown(run, settings):
    output = run()

    assert "SECRET_KEY" in output
    assert settings.SECRET_KEY not in output


def test_cache_that_stores_nothing_is_reported(run, settings):
    backend = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"default": backend}

    assert "check CACHE_URL" in run()


def test_missing_worker_is_reported(run, settings):
    settings.TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}

    output = run()

    assert "start `manage.py ox_worker`" in output
    assert "1 of 8 checks failed." in output


def test_worker_is_not_checked_if_the_queue_keeps_no_results(
    run, settings, monkeypatch
):
    settings.TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}
    monkeypatch.setattr(OxBackend, "supports_get_result", False)

    assert "not checked: the queue keeps no results" in run()


def test_message_is_sent(run, settings, mailoutbox):
    backend = "django.core.mail.backends.locmem.EmailBackend"
    settings.MAILERS = {"default": {"BACKEND": backend}, "smtp": {"BACKEND": backend}}

    assert "sent to ada@example.com" in run(mail_to="ada@example.com")
    assert mailoutbox[0].to == ["ada@example.com"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"address": "192.0.2.1", "scheme": "https"}', "can forge its address"),
        ('{"address": "10.0.0.1", "scheme": "http"}', "FORWARDED_ALLOW_IPS"),
        ("ok", "not this site"),
    ],
)
def test_wrong_proxy_configuration_is_reported(run, monkeypatch, answer, problem):
    monkeypatch.setattr(doctor, "fetch", lambda *args: (200, answer.encode()))

    assert problem in run(url="https://example.com")


def test_livez_tells_its_client_only_with_a_signature(client):
    headers = {"X-Doctor": signing.dumps("doctor")}

    assert client.get("/livez", headers=headers).json()["scheme"] == "http"
    for token in ("", "forged"):
        response = client.get("/livez", headers={"X-Doctor": token})
        assert response.content == b"ok"


def test_old_backup_is_reported(run, settings, monkeypatch, tmp_path):
    settings.DEBUG = False
    database = {"NAME": tmp_path / "db.sqlite3"}
    connection = SimpleNamespace(vendor="sqlite", settings_dict=database)
    monkeypatch.setattr(doctor, "connection", connection)
    with pytest.raises(doctor.Problem, match="has no backup"):
        doctor.check_backup()

    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "daily.backup").touch()
    assert doctor.check_backup().startswith("ok")

    (tmp_path / "backups" / "daily.backup").rename(tmp_path / "by-hand.backup")
    assert doctor.check_backup().startswith("ok")

    monkeypatch.setattr(doctor, "MAX_BACKUP_AGE", timedelta(0))
    with pytest.raises(doctor.Problem, match="0 days old"):
        doctor.check_backup()


def test_public_address_and_uploads_are_fetched(run, live_server):
    output = run(url=live_server.url)

    assert "this client is seen as" in output
    assert "storage    ok\n" in output


def test_uploaded_file_that_cannot_be_fetched_is_reported(monkeypatch):
    monkeypatch.setattr(doctor, "fetch", lambda *args: (404, b""))

    with pytest.raises(doctor.Problem, match="cannot be fetched"):
        doctor.check_storage("https://example.com")


def test_object_storage_needs_no_public_address(monkeypatch):
    url = "https://s3.example.com/doctor.txt"
    monkeypatch.setattr(doctor.default_storage, "url", lambda name: url)
    monkeypatch.setattr(doctor.signing, "dumps", lambda value: "content")
    monkeypatch.setattr(doctor, "fetch", lambda *args: (200, b"content"))

    assert doctor.check_storage(None) == "ok"


def test_other_site_at_the_address_is_reported(run, monkeypatch):
    answers = iter([(200, b'{"address": "10.0.0.1", "scheme": "https"}'), (400, b"")])
    monkeypatch.setattr(doctor, "fetch", lambda *args: next(answers))

    with pytest.raises(doctor.Problem, match="check ALLOWED_HOSTS"):
        doctor.check_address("https://example.com")


def test_unsafe_settings_are_reported(settings):
    settings.DEBUG = False
    settings.SECURE_SSL_REDIRECT = False

    with pytest.raises(doctor.Problem, match=r"security\.W008"):
        doctor.check_settings()


def test_pending_migrations_are_reported(monkeypatch):
    monkeypatch.setattr(
        doctor.MigrationExecutor, "migration_plan", lambda self, targets: [1]
    )

    with pytest.raises(doctor.Problem, match="1 pending migrations"):
        doctor.check_database()


def test_mail_server_is_asked_to_log_in(settings):
    backend = "django.core.mail.backends.locmem.EmailBackend"
    settings.MAILERS = {"default": {"BACKEND": backend}, "smtp": {"BACKEND": backend}}

    assert "logged in" in doctor.check_mail(None)


def test_backups_of_postgresql_are_not_checked(settings, monkeypatch):
    settings.DEBUG = False
    connection = SimpleNamespace(vendor="postgresql", display_name="PostgreSQL")
    monkeypatch.setattr(doctor, "connection", connection)

    assert "not checked" in doctor.check_backup()
