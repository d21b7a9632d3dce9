import sqlite3
from contextlib import closing

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

# A database with a transaction under way could not be copied by the same connection.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def is_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("the database is no SQLite")


@pytest.mark.usefixtures("is_sqlite")
def test_a_backup_is_a_database_of_its_own(tmp_path):
    get_user_model().objects.create_user("ada@example.com")

    call_command("backup_db", tmp_path / "copy.sqlite3")

    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        people = copy.execute("SELECT email FROM accounts_user").fetchall()
    assert people == [("ada@example.com",)]
    assert [path.name for path in tmp_path.iterdir()] == ["copy.sqlite3"]


@pytest.mark.usefixtures("is_sqlite")
def test_a_backup_overwrites_no_other(tmp_path):
    call_command("backup_db", tmp_path / "copy.sqlite3")

    with pytest.raises(CommandError, match="File exists"):
        call_command("backup_db", tmp_path / "copy.sqlite3")


def test_a_backup_of_postgresql_is_left_to_its_own_program(monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "vendor", "postgresql")

    with pytest.raises(CommandError, match="pg_dump"):
        call_command("backup_db", tmp_path / "copy.sqlite3")
