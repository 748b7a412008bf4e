"""`openrek bench`: measurements of this machine."""

import argparse

from openrek.settings import Settings


def search(chosen: argparse.Namespace, _: Settings) -> int:
    """The search of galleries."""
    from benchmarks.speed import search

    return search.run(chosen)
