"""Results about things with a name that come and go: what each moment shows, and for how long each is seen."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from inference import wire
from inference.video.stretches import Stretches, Thing
from storage.jobs import Result


def moments_and_stretches(
    looks: Iterable[tuple[int, Sequence[Thing]]], of_stretch: Callable[[Thing], Thing]
) -> Iterator[Result]:
    """View moments: each thing of each look (its time, what it showed). View segments: each Stretch of what
    `of_stretch` makes of a thing."""
    stretches: Stretches[Thing] = Stretches()
    for at_ms, things in looks:
        for thing in things:
            yield Result("moments", at_ms, wire.encode(thing), thing.name, thing.confidence)
        stretches.see(at_ms, map(of_stretch, things))
    for one in stretches.ended():
        yield Result("segments", one.start_ms, wire.encode(one), one.surest.name, one.surest.confidence)
