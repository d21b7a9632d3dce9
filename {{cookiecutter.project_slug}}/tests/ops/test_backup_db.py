"""backup_db and restore_db, on the database of the tests: SQLite or PostgreSQL."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

# A connection cannot copy the database while its transaction is open.
pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()


@pytest.fixture(autouse=True)
def client_programs():
    if connection.vendor == "postgresql" and not shutil.which("pg_dump"):
        pytest.skip("the client programs of PostgreSQL are not installed")


@pytest.fixture
def is_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("the database is not SQLite")


@pytest.fixture
def backup(tmp_path):
    """Return the path of a backup with one user."""
    User.objects.create_user("ada@example.com")
    call_command("backup_db", tmp_path / "backup")
    return tmp_path / "backup"


def restore(backup, capsys):
    """Restore a backup; return the path of the previous data."""
    call_command("restore_db", backup, interactive=False)
    return Path(capsys.readouterr().out.splitlines()[0].split(" is in ")[1])


@pytest.mark.usefixtures("is_sqlite")
def test_backup_is_a_complete_database(backup):
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        people = copy.execute("SELECT email FROM accounts_user").fetchall()
    assert people == [("ada@example.com",)]
    assert [path.name for path in backup.parent.iterdir()] == ["backup"]


def test_backup_does_not_overwrite_a_file(backup):
    with pytest.raises(CommandError, match="File exists"):
        call_command("backup_db", backup)


@pytest.mark.usefixtures("is_sqlite")
def test_failed_backup_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(sqlite3, "connect", lambda path: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        call_command("backup_db", tmp_path / "backup")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["backup_db", "restore_db"])
def test_other_databases_are_refused(command, monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "vendor", "oracle")

    with pytest.raises(CommandError, match="its own tools"):
        call_command(command, tmp_path / "backup")


def test_backup_is_restored(backup, capsys):
    User.objects.all().delete()
    User.objects.create_user("grace@example.com")

    restore(backup, capsys)

    assert [user.email for user in User.objects.all()] == ["ada@example.com"]


def test_previous_data_can_be_restored(backup, capsys):
    User.objects.create_user("grace@example.com")

    previous = restore(backup, capsys)
    restore(previous, capsys)

    assert User.objects.filter(email="grace@example.com").exists()


def test_restore_removes_tables_that_are_newer_than_the_backup(backup, capsys):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE newer (user_id bigint REFERENCES accounts_user (id))"
        )

    restore(backup, capsys)

    assert "newer" not in connection.introspection.table_names()


@pytest.mark.parametrize("answer", ["no", ""])
def test_restore_asks_first(backup, monkeypatch, answer):
    User.objects.all().delete()
    monkeypatch.setattr("builtins.input", lambda question: answer)

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("restore_db", backup)

    assert not User.objects.exists()


def test_restore_refuses_a_file_that_is_not_a_backup(backup):
    backup.write_text("not a backup")

    with pytest.raises(CommandError):
        call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()


def test_restore_refuses_a_missing_file(backup):
    backup.unlink()

    with pytest.raises(CommandError):
        call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()


def test_restore_refuses_a_truncated_backup(backup):
    backup.write_bytes(backup.read_bytes()[:-5000])

    with pytest.raises(CommandError):
        call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()


@pytest.mark.usefixtures("is_sqlite")
def test_restore_refuses_a_damaged_backup(backup):
    data = bytearray(backup.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    backup.write_bytes(data)

    with pytest.raises(CommandError, match="not a sound backup"):
        call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()


@pytest.mark.usefixtures("is_sqlite")
def test_restore_refuses_the_database_of_another_program(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE other (id)")

    with pytest.raises(CommandError, match="no such table: django_migrations"):
        call_command("restore_db", tmp_path / "other", interactive=False)


@pytest.mark.usefixtures("is_sqlite")
def test_restore_refuses_a_database_that_is_in_use(backup, monkeypatch):
    database = Path(connection.settings_dict["NAME"])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, timeout=0, **k))
    with closing(connect(database)) as other:
        other.execute("SELECT * FROM accounts_user").fetchall()

        with pytest.raises(CommandError, match="The database is in use"):
            call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()
    assert not list(database.parent.glob("*.new"))


@pytest.mark.usefixtures("is_sqlite")
def test_restore_replaces_a_damaged_database(backup, capsys):
    connection.close()
    database = Path(connection.settings_dict["NAME"])
    database.write_text("not a database" * 1000)
    Path(f"{database}-wal").write_text("not a log")

    previous = restore(backup, capsys)

    assert User.objects.exists()
    assert previous.read_text() == "not a database" * 1000
    assert Path(f"{previous}-wal").read_text() == "not a log"


@pytest.mark.usefixtures("is_sqlite")
def test_restore_creates_a_missing_database(backup, capsys):
    connection.close()
    Path(connection.settings_dict["NAME"]).unlink()

    call_command("restore_db", backup, interactive=False)

    assert User.objects.exists()
    assert "previous data" not in capsys.readouterr().out


@pytest.mark.usefixtures("is_sqlite")
def test_restore_names_the_reason_of_a_failure(backup, monkeypatch, tmp_path):
    name = tmp_path / "missing" / "db.sqlite3"
    monkeypatch.setitem(connection.settings_dict, "NAME", name)

    with pytest.raises(CommandError, match="cannot be restored"):
        call_command("restore_db", backup, interactive=False)
