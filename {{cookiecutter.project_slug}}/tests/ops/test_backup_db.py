import sqlite3
from contextlib import closing

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

# A connection cannot copy the database while its transaction is open.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def is_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("the database is not SQLite")


@pytest.mark.usefixtures("is_sqlite")
def test_backup_is_a_complete_database(tmp_path):
    get_user_model().objects.create_user("ada@example.com")

    call_command("backup_db", tmp_path / "copy.sqlite3")

    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        people = copy.execute("SELECT email FROM accounts_user").fetchall()
    assert people == [("ada@example.com",)]
    assert [path.name for path in tmp_path.iterdir()] == ["copy.sqlite3"]


@pytest.mark.usefixtures("is_sqlite")
def test_backup_does_not_overwrite_a_file(tmp_path):
    call_command("backup_db", tmp_path / "copy.sqlite3")

    with pytest.raises(CommandError, match="File exists"):
        call_command("backup_db", tmp_path / "copy.sqlite3")


def test_postgresql_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "vendor", "postgresql")

    with pytest.raises(CommandError, match="pg_dump"):
        call_command("backup_db", tmp_path / "copy.sqlite3")
