"""Every named SQL statement is prepared by a real server against the migrated schema."""

import re
from pathlib import Path

import psycopg
import pytest

import storage
from storage import queries

NOUNS = sorted(path.stem for path in Path(storage.__file__).parent.glob("*.sql"))
# PREPARE takes only queries and data changes; these run in every test that migrates, takes a snapshot or vacuums.
UTILITY = {("migrations", "create_history"), ("changes", "begin_snapshot"), ("database", "vacuum")}
UTILITY |= {("jobs", "gather_results"), ("jobs", "copy_results"), ("jobs", "order_results")}
STATEMENTS = [(noun, name) for noun in NOUNS for name in queries.load(noun) if (noun, name) not in UTILITY]


@pytest.mark.parametrize(("noun", "name"), STATEMENTS)
def test_every_statement_can_be_prepared(noun: str, name: str, module_database_url: str) -> None:
    sql: str = queries.load(noun)[name].rstrip(";")
    parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    for number, parameter in enumerate(parameters, 1):
        sql = sql.replace(f"%({parameter})s", f"${number}")
    assert "%" not in sql
    with psycopg.connect(module_database_url) as connection:
        connection.execute(f"PREPARE statement AS {sql}".encode())


def test_every_noun_with_sql_has_statements() -> None:
    assert set(NOUNS) >= {"collections", "faces", "changes", "tags", "access_keys", "buckets", "idempotency"}
