"""How long things are seen: the stretches of looks that follow each other in which a name occurs."""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from inference.video.types import Stretch


class Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def confidence(self) -> float: ...


Thing = TypeVar("Thing", bound=Named)


class Stretches(Generic[Thing]):
    """Takes in what is seen, look by look, and tells the maximal stretches of it. Keeps one thing for each stretch."""

    def __init__(self) -> None:
        self._open: dict[str, Stretch[Thing]] = {}
        self._closed: list[Stretch[Thing]] = []

    def see(self, at_ms: int, things: Iterable[Thing]) -> None:
        """The next look: when it was, and all that it showed, each name once."""
        still: dict[str, Stretch[Thing]] = {}
        for thing in things:
            before = self._open.pop(thing.name, None)
            if before is None:
                still[thing.name] = Stretch(thing, at_ms, at_ms)
            else:
                surest = max(before.surest, thing, key=lambda one: one.confidence)
                still[thing.name] = Stretch(surest, before.start_ms, at_ms)
        self._closed += self._open.values()
        self._open = still

    def ended(self) -> list[Stretch[Thing]]:
        """All stretches of the looks that were seen, by their start, of those that start together the surest first."""
        found = [*self._closed, *self._open.values()]
        return sorted(found, key=lambda one: (one.start_ms, -one.surest.confidence, one.surest.name))
