"""Documents that are printed by commands, or name files, stay true."""

import re
from pathlib import Path

import pytest

from benchmarks.harness import plots, report, runner
from openrek import operations

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_has_the_table_that_the_command_prints() -> None:
    readme = (ROOT / "README.md").read_text()
    table = re.search(r"<!-- operations: .*? -->\n(.*?)<!-- end of operations -->", readme, re.DOTALL)
    assert table is not None and table[1] == operations.markdown(), "print it with `openrek operations`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_decision_is_a_short_file() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    assert all(len(path.read_text().splitlines()) < 40 for path in decisions)


def test_the_report_is_what_the_stored_runs_hold() -> None:
    results = ROOT / "benchmarks" / "results"
    runs = [run for path in sorted(results.glob("*.json")) if (run := runner.stored(path))]
    text = (ROOT / "benchmarks" / "REPORT.md").read_text()
    assert runs and text == report.markdown(runs, "results/")
    assert all((results / plot.file).exists() for run in runs for plot in plots.of(run))
