"""For how long things are seen: stretches against a plain reading of the definition."""

from hypothesis import given
from hypothesis import strategies as st

from inference import wire
from inference.types import Confident
from inference.video.stretches import Stretches
from inference.video.types import Stretch

Looks = list[dict[str, float]]
LOOKS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5).map(float)), max_size=12)


def _found(looks: Looks) -> list[Stretch[Confident]]:
    stretches: Stretches[Confident] = Stretches()
    for n, look in enumerate(looks):
        stretches.see(200 * n, [Confident(name, confidence) for name, confidence in look.items()])
    return stretches.ended()


@given(LOOKS)
def test_each_maximal_run_of_looks_is_a_stretch(looks: Looks) -> None:
    expected = set()
    for name in "abc":
        for first in range(len(looks)):
            for last in range(first, len(looks)):
                is_run = all(name in look for look in looks[first : last + 1])
                could_grow = any(name in look for look in looks[max(first - 1, 0) : first] + looks[last + 1 : last + 2])
                if is_run and not could_grow:
                    most = max(look[name] for look in looks[first : last + 1])
                    expected.add((name, 200 * first, 200 * last, most))
    found = _found(looks)
    assert {(one.surest.name, one.start_ms, one.end_ms, one.surest.confidence) for one in found} == expected
    assert len(found) == len(expected)
    order = [(one.start_ms, -one.surest.confidence) for one in found]
    assert order == sorted(order)


def test_a_stretch_is_from_the_first_look_to_the_last() -> None:
    """6400..8200 on a grid of 200 ms lasts 1800 (the service's sample)."""
    stretches: Stretches[Confident] = Stretches()
    for at_ms in range(6000, 9000, 200):
        stretches.see(at_ms, [Confident("Car", 97.0 if at_ms == 7000 else 80.0)] if 6400 <= at_ms <= 8200 else [])
    assert stretches.ended() == [Stretch(Confident("Car", 97.0), 6400, 8200)]


def test_a_stretch_travels() -> None:
    stretch = Stretch(Confident("Car", 97.0), 6400, 8200)
    assert wire.decode(wire.encode(stretch), Stretch[Confident]) == stretch
