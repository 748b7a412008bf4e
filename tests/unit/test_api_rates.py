"""Token buckets per account and operation."""

from hypothesis import given
from hypothesis import strategies as st

from api.rates import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_steady_rate() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    assert [limit.allows("a", "x") for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.2
    assert [limit.allows("a", "x") for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [limit.allows("a", "x") for _ in range(6)] == [True] * 5 + [False]


def test_accounts_and_operations_have_buckets_of_their_own() -> None:
    limit = RateLimit(0.001, Clock())
    assert limit.allows("a", "x") and limit.allows("b", "x") and limit.allows("a", "y")
    assert not limit.allows("a", "x")


@given(st.floats(0.01, 100), st.lists(st.floats(0, 10), max_size=200))
def test_never_more_than_the_rate_and_one_burst(per_second: float, pauses: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(per_second, clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        allowed += limit.allows("a", "x")
    assert allowed <= max(1, per_second) + per_second * sum(pauses) + 1e-3
