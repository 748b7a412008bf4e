"""`openrek bench`: measurements of this machine, or of any Rekognition endpoint."""

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness import definition, kinds, report, runner
from benchmarks.harness.definition import BadDefinition
from benchmarks.harness.kinds import Options
from benchmarks.harness.targets import Wanted, named
from openrek import home
from openrek.errors import OperatorError
from openrek.settings import Settings, one_thread_for_numpy


def run(chosen: argparse.Namespace, settings: Settings) -> int:
    """Measures one kind. 0 when all bars of the definition are reached, 3 when one is not."""
    _stop_what_was_started_when_told_to_end()
    # As in the parts that are measured, whose work a plain loop in this process repeats; and NumPy's threads would go
    # on spinning beside what is measured next.
    one_thread_for_numpy()
    path = chosen.definition or definition.FOLDER / f"{chosen.kind}.toml"
    try:
        wanted = definition.load(path)
        endpoints = named(chosen.endpoint)
    except (BadDefinition, ValueError) as error:
        raise OperatorError(str(error)) from error
    target = Wanted(
        endpoints,
        settings.region,
        chosen.credentials or home.credentials(settings.home),
        settings.models_dir,
        tuple(chosen.pack) or (settings.model_pack,),
    )
    file = _results(chosen, settings) / f"{chosen.name or path.stem}.json"
    with kinds.prepare(chosen.kind, wanted, Options(target, chosen.data)) as plan:
        done = runner.run(wanted, plan.cases, file, plan.endpoints, chosen.fresh)
    print(json.dumps(asdict(done), indent=1) if chosen.json else report.summary(done))
    print(f"stored {file}", file=sys.stderr)
    return done.status


def write_report(chosen: argparse.Namespace, settings: Settings) -> int:
    """Writes the report on all stored runs."""
    results = _results(chosen, settings)
    if not results.is_dir():
        raise OperatorError(f"no folder with stored runs: {results}")
    for file in report.write(results, chosen.output or results / "REPORT.md"):
        print(f"written {file}")
    return 0


def _stop_what_was_started_when_told_to_end() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def _results(chosen: argparse.Namespace, settings: Settings) -> Path:
    results: Path = chosen.results or settings.home / "bench"
    return results
