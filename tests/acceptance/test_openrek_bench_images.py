"""`openrek bench`: tiny definitions against a real stack, what is stored, and the exit status."""

from typing import Any

import pytest

from benchmarks.harness.runner import MET, MISSED

IMAGES = """
title = "Tiny"
about = "For a test."
operations = ["DetectFaces", "CompareFaces", "IndexFaces", "SearchUsersByImage"]
clients = [1, 2]
shares = [0.5]
rounds = 1
seconds = 0.2
open_seconds = 0.5
pictures = [{ side = 320, faces = 1 }, { side = 320, faces = 0 }]
[[bar]]
figure = "ratio"
at_least = {least}
where = { endpoint = "here", clients = 2 }
[[bar]]
figure = "errors"
at_most = 0
where = { endpoint = "here" }
"""


def test_images_beside_an_endpoint_that_knows_little(bench: Any, here: list[str], s3_server: str) -> None:
    text = IMAGES.replace("{least}", "1000.0")
    status, stored = bench("images", text, *here, "--endpoint", f"moto={s3_server}")
    assert status == MISSED and [bar["met"] for bar in stored["bars"]] == [False, True]
    assert len(stored["rows"]) == 4 * 3 * 2
    for row in stored["rows"]:
        if row["endpoint"] == "moto" and row["operation"] != "CompareFaces":
            assert row["answers"] == 0 and row["errors"] > 0 and "ratio" not in row
        if row["endpoint"] == "here":
            assert row["errors"] == 0 and row["error_types"] == {}
        if row["endpoint"] == "here" and row["load"] == "closed":
            assert row["answers"] >= 2 * row["clients"] and 0 < row["p50_ms"] <= row["p99_ms"]
            assert row["ratio"] > 0 and ("added_ms" in row) == (row["clients"] == 1)


def test_images_of_the_owner(
    bench: Any, here: list[str], tmp_path_factory: pytest.TempPathFactory, collins: bytes, hopper: bytes
) -> None:
    data = tmp_path_factory.mktemp("data")
    for name, content in (("a.jpg", collins), ("b.jpeg", hopper), ("notes.txt", b"no picture")):
        (data / name).write_bytes(content)
    text = IMAGES.replace("{least}", "0.0").replace('"DetectFaces", "CompareFaces", "IndexFaces", ', "")
    status, stored = bench("images", text, *here, "--data", str(data))
    assert status == MET and {row["operation"] for row in stored["rows"]} == {"SearchUsersByImage"}
