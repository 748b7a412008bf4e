import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage import changes, migrations, users
from storage.database import open_pool
from storage.errors import DatabaseUnavailable, MigrationHistoryChanged


@pytest.fixture
def two_steps(tmp_path: Path) -> Path:
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (a integer); INSERT INTO one VALUES (1);")
    (tmp_path / "0002_two.sql").write_text("CREATE TABLE two (a integer);")
    return tmp_path


def names(steps: list[migrations.Migration]) -> list[str]:
    return [step.name for step in steps]


def test_all_are_applied_once(empty_database_url: str) -> None:
    heard: list[migrations.Migration] = []
    done = migrations.apply(empty_database_url, heard.append)
    assert done == heard == migrations.available()
    assert migrations.apply(empty_database_url) == []
    with psycopg.connect(empty_database_url) as connection:
        assert migrations.applied(connection) == done
        assert migrations.pending(connection) == []


def test_an_untouched_database_has_all_pending(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        assert migrations.applied(connection) == []
        assert migrations.pending(connection) == migrations.available()


def test_a_new_file_is_applied_to_an_old_database(empty_database_url: str, two_steps: Path) -> None:
    migrations.apply(empty_database_url, directory=two_steps)
    (two_steps / "0003_three.sql").write_text("INSERT INTO one VALUES (3);")
    assert names(migrations.apply(empty_database_url, directory=two_steps)) == ["0003_three.sql"]


def test_a_faulty_migration_leaves_no_trace_and_those_before_it_stay(empty_database_url: str, two_steps: Path) -> None:
    (two_steps / "0002_two.sql").write_text("CREATE TABLE two (a integer); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrations.apply(empty_database_url, directory=two_steps)
    with psycopg.connect(empty_database_url) as connection:
        assert names(migrations.applied(connection)) == ["0001_one.sql"]
        assert connection.execute("SELECT to_regclass('two')").fetchone() == (None,)


@pytest.mark.parametrize("change", [lambda path: path.write_text("SELECT 1;"), Path.unlink], ids=["edited", "removed"])
def test_changed_history_is_refused(empty_database_url: str, two_steps: Path, change) -> None:  # type: ignore[no-untyped-def]
    migrations.apply(empty_database_url, directory=two_steps)
    change(two_steps / "0002_two.sql")
    with pytest.raises(MigrationHistoryChanged, match=r"0002_two\.sql"):
        migrations.apply(empty_database_url, directory=two_steps)


@pytest.mark.parametrize("name", ["0002_again.sql", "0004_gap.sql", "3_short.sql"])
def test_files_out_of_number_are_refused(two_steps: Path, name: str) -> None:
    (two_steps / name).write_text("SELECT 1;")
    with pytest.raises(ValueError, match=r"numbering"):
        migrations.available(two_steps)


def test_many_processes_may_migrate_at_once(empty_database_url: str, run_in_threads: Any) -> None:
    done: list[migrations.Migration] = []
    run_in_threads([lambda: done.extend(migrations.apply(empty_database_url))] * 6)
    assert sorted(names(done)) == names(migrations.available())


def test_no_server_is_a_domain_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        migrations.apply(f"host={tmp_path} user=openrek dbname=openrek")


def test_a_log_from_before_there_were_users_is_of_faces(empty_database_url: str, tmp_path: Path) -> None:
    for step in migrations.available()[:2]:
        shutil.copy(migrations.DIRECTORY / step.name, tmp_path)
    migrations.apply(empty_database_url, directory=tmp_path)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO collections (account, region, name, face_model_version, version)"
            " VALUES ('123456789012', 'r', 'c', 'base-1', 2)"
        )
        connection.execute("INSERT INTO users VALUES (1, 'ann', 'created')")
        for version, kind in ((1, "add"), (2, "delete")):
            connection.execute("INSERT INTO collection_changes VALUES (1, %s, %s, gen_random_uuid())", [version, kind])
    migrations.apply(empty_database_url)
    with open_pool(empty_database_url, 1) as pool, pool.connection() as connection:
        log = changes.since(connection, 1, 0, 10)
        assert [(entry.version, entry.kind, entry.action) for entry in log] == [
            (1, "faces", "add"),
            (2, "faces", "delete"),
        ]
        assert users.get(connection, 1, "ann").embedding is None
