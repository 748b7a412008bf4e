"""Each collection has its order of servers, and keeps it when others come and go."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vectorindex.placement import order

URLS = st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True)


@given(st.integers(1, 2**62), URLS, st.randoms())
def test_the_order_is_the_same_however_the_servers_are_listed(
    collection_id: int, urls: list[str], random: object
) -> None:
    shuffled = list(urls)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert order(collection_id, shuffled) == order(collection_id, urls)
    assert sorted(order(collection_id, urls)) == sorted(urls)


@given(st.integers(1, 2**62), URLS)
def test_a_server_that_goes_leaves_the_others_in_their_order(collection_id: int, urls: list[str]) -> None:
    gone, *rest = urls
    assert order(collection_id, rest) == [url for url in order(collection_id, urls) if url != gone]


def test_collections_are_spread_evenly() -> None:
    urls = [f"http://index-{number}:9557" for number in range(4)]
    for place in range(4):
        shares = Counter(order(collection_id, urls)[place] for collection_id in range(1, 10_001))
        assert min(shares.values()) > 2350 and max(shares.values()) < 2650
