"""`openrek bench`: tiny definitions against a real stack, what is stored, and the exit status."""

from typing import Any

from benchmarks.harness.runner import MET

SEARCH = """
title = "Tiny"
about = "For a test."
faces = [200, 5000]
dimension = 128
device = "cpu"
clients = [1, 2]
rounds = 1
seconds = 0.05
served_up_to = 200
pgvector_up_to = 200
maintenance_work_mem = "64MB"
[[bar]]
figure = "recall"
at_least = 0.999
where = { system = "index" }
"""


def test_searches_of_the_index_its_server_faiss_and_pgvector(bench: Any) -> None:
    status, stored = bench("search", SEARCH)
    searches = {(row["system"], row["faces"]) for row in stored["rows"] if row["measured"] == "searches"}
    alone = {"index", "FAISS", "FAISS, queries at once"}
    assert searches == {
        *((system, 200) for system in alone | {"index server", "pgvector HNSW", "pgvector, exact"}),
        *((system, 5000) for system in alone),
    }
    assert status == MET and all(row["per_second"] > 0 for row in stored["rows"] if row["measured"] == "searches")
    assert all(row["recall"] > 0.9 for row in stored["rows"] if "recall" in row)
