"""Some thousands of requests that no decent client sends; `python -m benchmarks.faults.fuzz` sends any number."""

from pathlib import Path
from typing import Any

from benchmarks.endpoint import Endpoint
from benchmarks.faults import fuzz

REQUESTS = 3000


def test_no_request_leads_to_a_server_error_a_hang_or_growth(stack: Any, client: Any, tmp_path: Path) -> None:
    stack.openrek("buckets", "add", fuzz.BUCKET, str(tmp_path), "--region", stack.region)
    memory, before = fuzz.Memory(stack.home), fuzz.tracebacks(stack.home)
    place = Endpoint(stack.endpoint, stack.region, stack.home / "credentials")
    assert fuzz.run(place, REQUESTS, memory=memory) == []
    assert memory.grown() == []
    assert fuzz.tracebacks(stack.home) == before
