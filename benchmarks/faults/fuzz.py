"""Sends a running server requests that it should not like, and looks for server errors, hangs and growth of memory.

For each of the 75 operations: valid requests, nearly valid ones, any JSON and any bytes, all signed; between them raw
bytes on connections of their own. An answer of status 5xx that is no ThrottlingException, no answer within 20 seconds,
an answer outside the service model and, with --home, a traceback in a log or a process that has grown are findings. A
finding is reduced to a small request and printed with the arguments that lead to it again; the exit status is then 1.
"""

import argparse
import contextlib
import io
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from PIL import Image
from tqdm import tqdm

from api.model import OPERATIONS
from api.operations import HANDLERS
from benchmarks import endpoint
from benchmarks.endpoint import Endpoint
from benchmarks.faults import fuzz_bytes, fuzz_requests
from benchmarks.faults.fuzz_sender import Finding, Sender
from benchmarks.faults.shapes import Known
from benchmarks.inputs import hostile_pictures
from inference.memory import REST_SECONDS

EXAMPLE = "Example: python -m benchmarks.faults.fuzz --requests 100000 --home ~/.openrek"
RAW_BYTES = "raw bytes"
BATCH = 50
MORE_OF_WHAT_IS_BUILT = 3
COLLECTIONS = [f"fuzz-{n}" for n in range(1, 7)]
BUCKET = "fuzz"
GROWTH_MIB = 64
"""More than this between a tenth of the run and its end is a finding: buffers and caches are full by then."""
PORTRAIT = Path(__file__).parents[2] / "openrek" / "pictures" / "eileen_collins.jpg"


@dataclass
class Memory:
    """PSS in MiB of each part of the stack in a home folder, each with its child processes, at rest."""

    home: Path
    samples: list[dict[str, float]] = field(default_factory=list)

    def measure(self) -> None:
        """Waits until the parts have given back what they keep for a next request: that is no growth."""
        time.sleep(2 * REST_SECONDS + 1)
        self.samples.append({path.stem: _pss(int(path.read_text().split()[0])) for path in self._pid_files()})

    def grown(self) -> list[str]:
        """The parts that have grown too much."""
        early, last = self.samples[0], self.samples[-1]
        return [
            f"{part} has grown from {early[part]:.0f} to {last[part]:.0f} MiB"
            for part in last
            if last[part] - early.get(part, last[part]) > GROWTH_MIB
        ]

    def _pid_files(self) -> Iterator[Path]:
        return (path for path in sorted((self.home / "run").glob("*.pid")) if path.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.fuzz", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--requests", type=int, default=100_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of what is random here (default %(default)s)")
    parser.add_argument("--only", metavar="NAME", help=f"an operation, or '{RAW_BYTES}' (default: all)")
    parser.add_argument("--home", type=Path, help="home of the server's stack, to watch its memory and logs")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    place = endpoint.chosen(arguments)
    memory = Memory(arguments.home) if arguments.home else None
    before = tracebacks(arguments.home)
    findings = run(place, arguments.requests, arguments.seed, arguments.only, memory)
    if memory:
        print("memory, MiB: " + ", ".join(_growth(memory.samples)))
        findings += memory.grown()
        if (after := tracebacks(arguments.home)) > before:
            findings.append(f"{after - before} tracebacks more in {arguments.home / 'logs'}")
    print("\n\n".join(findings) or "nothing found")
    return 1 if findings else 0


def run(
    place: Endpoint, requests: int, first_seed: int = 0, only: str | None = None, memory: Memory | None = None
) -> list[str]:
    """Sends at least so many requests, and returns a text for each finding."""
    sender, findings = Sender(place), []
    checks = {name: check for name, check in _checks(sender, prepared(place)).items() if only in (None, name)}
    turns = [name for name in checks for _ in range(MORE_OF_WHAT_IS_BUILT if name in (*HANDLERS, RAW_BYTES) else 1)]
    with tqdm(total=requests, desc="requests", unit="", file=sys.stderr, smoothing=0.01) as progress:
        for number, name in zip(itertools.count(first_seed), itertools.cycle(turns)):
            if progress.n >= requests or not checks:
                break
            if name not in checks:
                continue
            if memory and not memory.samples and progress.n >= requests // 10:
                memory.measure()
            examples = min(BATCH, requests - progress.n)
            finding = explore(*checks[name], number, examples, progress.update)
            if finding:
                place_again = f"--only {name!r} --seed {number} --requests {examples}"
                findings.append(f"{finding}\n  again: python -m benchmarks.faults.fuzz {place_again}")
                del checks[name]
    try:
        sender.check_alive()
    except (Finding, OSError) as error:
        findings.append(f"afterwards: {error}")
    finally:
        sender.close()
    if memory:
        memory.measure()
    return findings


def explore(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], None], number: int, examples: int, count: Callable[[], Any]
) -> str | None:
    """Checks `examples` values; a finding, reduced, if there is one."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def checked(value: Any) -> None:
        count()
        check(value)

    try:
        checked()
    except Finding as finding:
        return str(finding)
    except Flaky as flaky:
        return f"not every time: {flaky!r}"
    return None


def prepared(place: Endpoint) -> Known:
    """Collections with faces, and strategies for the shapes that have to fit them for a request to get anywhere."""
    client = place.client()
    face_ids = ["00000000-0000-4000-8000-000000000000"]
    picture = PORTRAIT.read_bytes()
    for name in COLLECTIONS[:2]:
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_collection(CollectionId=name)
        records = client.index_faces(CollectionId=name, Image={"Bytes": picture})["FaceRecords"]
        face_ids += [record["Face"]["FaceId"] for record in records]
    return _known(face_ids, picture, client.list_collections(MaxResults=1).get("NextToken", "none"))


def _known(face_ids: Sequence[str], picture: bytes, token: str) -> Known:
    small = io.BytesIO()
    Image.open(io.BytesIO(picture)).resize((120, 120)).save(small, "JPEG")
    made = [make() for make in (*hostile_pictures.REFUSED.values(), *hostile_pictures.ACCEPTED.values())]
    pictures = [small.getvalue(), *(data for data in made if len(data) < 10_000)]
    regions = st.sampled_from(["eu-central-1", "us-east-1"])
    arns = st.builds("arn:aws:rekognition:{}:{}:collection/{}".format, regions, st.just("0" * 12), _of(COLLECTIONS))
    return {
        "CollectionId": _of(COLLECTIONS),
        "FaceId": _of(face_ids),
        "ImageBlob": _of(pictures) | st.binary(min_size=1, max_size=100),
        "ResourceArn": arns | st.text(min_size=20, max_size=100),
        "S3Bucket": st.just(BUCKET),
        "PaginationToken": _of([token]) | st.text(max_size=255),
    }


def _of(choices: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


def _checks(sender: Sender, known: Known) -> Mapping[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]]:
    """What to draw, and how to check it, by name."""

    def check(name: str) -> Callable[[Any], None]:
        return lambda body: sender.check_request(OPERATIONS[name], body)

    of_operations = {name: (fuzz_requests.bodies(OPERATIONS[name], known), check(name)) for name in OPERATIONS}
    return {RAW_BYTES: (fuzz_bytes.conversations(sender.whole_request), sender.check_conversation), **of_operations}


def _pss(pid: int) -> float:
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _growth(samples: Sequence[Mapping[str, float]]) -> list[str]:
    early, last = samples[0], samples[-1]
    return [f"{part} {early.get(part, 0):.0f} -> {last[part]:.0f}" for part in last]


def tracebacks(home: Path | None) -> int:
    """How many are in the logs of a home folder."""
    logs = (home / "logs").glob("*.log*") if home else ()
    return sum(path.read_bytes().count(b"Traceback") for path in logs)


if __name__ == "__main__":
    sys.exit(main())
