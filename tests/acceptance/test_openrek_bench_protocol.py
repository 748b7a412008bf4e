"""`openrek bench` as an owner runs it, on definitions that take seconds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROTOCOL = """
title = "A little of the protocol"
about = "One operation, one client."
operations = ["DescribeCollection"]
clients = [1]
rounds = 1
seconds = 0.3

[[bar]]
figure = "errors"
at_most = 0

[[table]]
columns = ["operation", "clients", "per_second", "ratio"]
"""


def bench(stack: Any, kind: str, definition: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a kind on the stack; runs are stored beside the definition."""
    command = [sys.executable, "-m", "openrek", "bench", kind, "--home", str(stack.home), "--definition", definition]
    command += ["--endpoint", f"here={stack.endpoint}", "--region", stack.region, "--results", definition.parent]
    return subprocess.run([*command, *arguments], env=stack.environment, capture_output=True, text=True, timeout=300)


def test_protocol(stack: Any, client: Any, tmp_path: Path) -> None:
    definition = tmp_path / "little.toml"
    definition.write_text(PROTOCOL)
    before = client.list_collections()["CollectionIds"]
    done = bench(stack, "protocol", definition, "--json")
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "little.json").read_text())
    assert json.loads(done.stdout)["rows"] == stored["rows"]
    (row,) = stored["rows"]
    assert (row["endpoint"], row["operation"], row["clients"], row["errors"]) == ("here", "DescribeCollection", 1, 0)
    assert row["per_second"] > 0 and row["ratio"] > 0 and row["p50_ms"] <= row["p99_ms"]
    assert set(stored["endpoints"]) == {"here", "moto"}
    assert client.list_collections()["CollectionIds"] == before, "it leaves nothing behind"

    definition.write_text(PROTOCOL + '[[bar]]\nfigure = "per_second"\nat_least = 1e9\n')
    missed = bench(stack, "protocol", definition, "--name", "missed")
    assert missed.returncode == 3, missed.stderr
    assert "**missed**" in missed.stdout
    assert json.loads((tmp_path / "missed.json").read_text())["bars"][1]["met"] is False
