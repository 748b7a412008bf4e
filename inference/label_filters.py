"""Which labels of a picture a caller wants to see."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.types import Label


@dataclass(frozen=True)
class LabelFilter:
    """Names of labels and of their categories. With inclusions a label has to be named in one of the two; one that is
    excluded never passes."""

    included: tuple[str, ...] = ()
    included_categories: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    excluded_categories: tuple[str, ...] = ()


def select(labels: Sequence[Label], wanted: LabelFilter) -> tuple[Label, ...]:
    """The wanted labels, in their order; their parents need not be among them."""
    return tuple(label for label in labels if _passes(label, wanted))


def _passes(label: Label, wanted: LabelFilter) -> bool:
    chosen = label.name in wanted.included or label.category in wanted.included_categories
    everything = not (wanted.included or wanted.included_categories)
    refused = label.name in wanted.excluded or label.category in wanted.excluded_categories
    return (chosen or everything) and not refused
