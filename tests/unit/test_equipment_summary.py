"""The Summary of DetectProtectiveEquipment: the rules, and that each person is in exactly one list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.operations.equipment_summary import PARTS, Wearing, summary, wearing
from inference.types import BodyPart, Box, Equipment, Judgement, Person

BOX = Box(0, 0, 1, 1)
SURE, UNSURE = 95.0, 60.0
T = 80.0
KIND_OF = {part: kind.lower() for kind, names in PARTS.items() for part in names}
confidences = st.floats(50, 100)


def item(kind: str, confidence: float = SURE, covers: bool = True, coverage: float = SURE) -> Equipment:
    return Equipment(kind, BOX, confidence, Judgement(covers, coverage))


def person(*parts: BodyPart, confidence: float = SURE) -> Person:
    return Person(BOX, confidence, parts)


def head(*items: Equipment, confidence: float = SURE) -> BodyPart:
    return BodyPart("head", confidence, items)


def hand(side: str, *items: Equipment) -> BodyPart:
    return BodyPart(f"{side}_hand", SURE, items)


HELMET, GLOVE, MASK = item("head_cover"), item("hand_cover"), item("face_cover")
CASES = [
    (person(head(HELMET)), ["HEAD_COVER"], Wearing.YES),
    (person(head()), ["HEAD_COVER"], Wearing.NO),
    (person(head(item("head_cover", covers=False))), ["HEAD_COVER"], Wearing.NO),
    (person(head(item("head_cover", covers=False), HELMET)), ["HEAD_COVER"], Wearing.YES),
    (person(head(item("head_cover", UNSURE))), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(item("head_cover", coverage=UNSURE))), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(item("head_cover", covers=False, coverage=UNSURE))), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(HELMET, confidence=UNSURE)), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(confidence=UNSURE)), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(HELMET), confidence=UNSURE), ["HEAD_COVER"], Wearing.UNSURE),
    (person(head(HELMET)), ["HAND_COVER"], Wearing.UNSURE),
    (person(), ["HEAD_COVER"], Wearing.UNSURE),
    (person(hand("left", GLOVE), hand("right")), ["HAND_COVER"], Wearing.NO),
    (person(hand("left", GLOVE)), ["HAND_COVER"], Wearing.YES),
    (person(hand("left", GLOVE), hand("right", item("hand_cover", UNSURE))), ["HAND_COVER"], Wearing.UNSURE),
    (person(head(HELMET), BodyPart("face", SURE, ())), ["HEAD_COVER", "FACE_COVER"], Wearing.NO),
    (person(head(HELMET), BodyPart("face", SURE, (MASK,))), ["HEAD_COVER", "FACE_COVER"], Wearing.YES),
    (person(head(), hand("left", item("hand_cover", UNSURE))), ["HEAD_COVER", "HAND_COVER"], Wearing.UNSURE),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_rules(case: int) -> None:
    who, required, expected = CASES[case]
    assert wearing(who, T, required) is expected


def test_a_confidence_on_the_bar_reaches_it() -> None:
    exact = person(head(item("head_cover", T, True, T), confidence=T), confidence=T)
    assert wearing(exact, T, ["HEAD_COVER"]) is Wearing.YES
    assert wearing(exact, T + 0.01, ["HEAD_COVER"]) is Wearing.UNSURE


def parts() -> st.SearchStrategy[tuple[BodyPart, ...]]:
    judgements = st.builds(Judgement, st.booleans(), confidences)

    def part(name: str) -> st.SearchStrategy[BodyPart]:
        items = st.lists(
            st.builds(Equipment, st.just(KIND_OF[name]), st.just(BOX), confidences, judgements), max_size=2
        )
        return st.builds(BodyPart, st.just(name), confidences, items.map(tuple))

    names = st.lists(st.sampled_from(sorted(KIND_OF)), unique=True)
    return names.flatmap(lambda chosen: st.tuples(*map(part, chosen)))


persons = st.lists(st.builds(Person, st.just(BOX), confidences, parts()), max_size=15)
types = st.lists(st.sampled_from(sorted(PARTS)))


@given(persons, st.floats(0, 100), types)
def test_each_person_is_in_exactly_one_list(people: list[Person], bar: float, required: list[str]) -> None:
    lists = summary(people, bar, required)
    assert lists.keys() == {case.value for case in Wearing}
    assert sorted(number for ids in lists.values() for number in ids) == list(range(len(people)))
    assert all(ids == sorted(ids) for ids in lists.values())


@given(persons, st.floats(0, 50), types)
def test_a_bar_under_50_is_one_of_50(people: list[Person], bar: float, required: list[str]) -> None:
    assert summary(people, bar, required) == summary(people, 50, required)


@given(persons, st.floats(50, 100), st.floats(0, 50), types)
def test_a_higher_bar_settles_nobody_otherwise(
    people: list[Person], bar: float, more: float, required: list[str]
) -> None:
    """Whoever is still settled by surer facts was settled before, or by one that has dropped out since."""
    low, high = (summary(people, at, required) for at in (bar, bar + more))
    assert set(low["PersonsIndeterminate"]) <= set(high["PersonsIndeterminate"])
    assert set(high["PersonsWithRequiredEquipment"]) <= set(low["PersonsWithRequiredEquipment"])


@given(persons, st.floats(50, 100))
def test_order_and_repetition_of_the_types_are_nothing(people: list[Person], bar: float) -> None:
    required = ["HEAD_COVER", "FACE_COVER"]
    assert summary(people, bar, required) == summary(people, bar, [*reversed(required), *required])
