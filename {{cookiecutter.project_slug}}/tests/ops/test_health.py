from threading import Event

import pytest
from django.core.management import call_command

from ops import health


@pytest.fixture
def probe(client, settings):
    """Return a function that sends a request like a load balancer's health check."""
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True
    return lambda path: client.get(path, headers={"host": "10.1.2.3:8000"})


@pytest.fixture
def checks(monkeypatch):
    """Replace the checks by ones that need no database and no cache."""
    checks = {"database": lambda: None, "cache": lambda: None}
    monkeypatch.setattr(health, "CHECKS", checks)
    return checks


def test_livez_needs_no_database(probe):
    response = probe("/livez")

    assert response.status_code == 200
    assert response.content == b"ok"


@pytest.mark.django_db(transaction=True)
def test_readyz_checks_migrations(probe):
    assert probe("/readyz").content == b"ok"

    call_command("migrate", "ops", "zero", verbosity=0)
    response = probe("/readyz")
    call_command("migrate", verbosity=0)

    assert response.status_code == 503
    assert response.content == b"failed: migrations"


def test_readyz_names_the_failed_check_and_logs_the_reason(
    probe, checks, caplog, monkeypatch
):
    def refuse():
        raise OSError("no route to db.example.com")

    checks["database"] = refuse
    monkeypatch.setattr(health.connections, "close_all", refuse)
    response = probe("/readyz?exclude=cache")

    assert response.status_code == 503
    assert response.content == b"failed: database"
    assert "no route to db.example.com" in caplog.text
    assert health.running["database"].done()


def test_readyz_skips_excluded_checks(probe, checks):
    checks["cache"] = lambda: "cache"

    assert probe("/readyz").status_code == 503
    assert probe("/readyz?exclude=cache").status_code == 200


def test_readyz_does_not_wait_for_a_check_that_hangs(probe, checks, monkeypatch):
    released, started = Event(), []

    def hang():
        started.append(True)
        released.wait()

    monkeypatch.setattr(health, "TIMEOUT", 0.05)
    checks["database"] = hang

    assert [probe("/readyz").content for _ in range(3)] == [b"failed: database"] * 3
    assert len(started) == 1

    released.set()
    health.running["database"].result()
    assert probe("/readyz").status_code == 200
