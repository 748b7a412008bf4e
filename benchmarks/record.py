"""Where a result was measured, and its file."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("onnxruntime", "opencv-python-headless", "pillow", "numpy", "faiss-cpu", "psycopg", "uvicorn")


def machine() -> dict[str, Any]:
    """The processor, its cores, the system and the versions that a figure depends on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def stolen_percent(since: Any) -> float:
    """Of the processors' time since a psutil.cpu_times: what the host of a virtual machine gave to others meanwhile, by
    which figures in seconds, and to a lesser extent ratios, are off. 0 where the system does not know."""
    spent = {name: now - then for name, now, then in zip(since._fields, psutil.cpu_times(), since, strict=True)}
    # Linux counts the time of guests within that of their hosts, too.
    total = sum(seconds for name, seconds in spent.items() if not name.startswith("guest"))
    return 100.0 * spent.get("steal", 0.0) / total if total else 0.0


def save(name: str, result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Writes a result beside where it was measured to `<folder>/<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=1) + "\n")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str | None:
    command = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None
