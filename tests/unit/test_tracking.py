"""People over time: one index for one person, whatever happens between."""

import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walkers import CALIBRATION, STEP_MS, Walker, clothes, embedding, look, looks

from inference import wire
from inference.types import Box, PersonsResult
from inference.video import people
from inference.video.people import Look
from inference.video.tracking import Tracker
from inference.video.types import SeenPerson

FRAMES = 20
ALWAYS = range(FRAMES)
LEFT_TO_RIGHT = Walker(1, (0.05, 0.3), (0.03, 0.0), ALWAYS)
RIGHT_TO_LEFT = Walker(2, (0.75, 0.35), (-0.03, 0.0), ALWAYS)

Paths = dict[int, list[tuple[int, SeenPerson]]]


def paths(seen: Iterable[Look]) -> Paths:
    """By index: when and where."""
    found: Paths = {}
    with people.followed(seen) as followed:
        for at_ms, persons in followed.moments():
            for one in persons:
                found.setdefault(one.index, []).append((at_ms, one))
        assert sorted(found) == [person.index for person in followed.persons]
    return found


def times(path: list[tuple[int, SeenPerson]]) -> list[int]:
    return [at_ms // STEP_MS for at_ms, _ in path]


def test_a_video_without_frames_has_no_people() -> None:
    assert paths([]) == {}


def test_a_walker_is_one_person_at_every_time() -> None:
    (path,) = paths(looks(FRAMES, [LEFT_TO_RIGHT])).values()
    assert times(path) == list(ALWAYS)
    assert [one.box for _, one in path] == [LEFT_TO_RIGHT.box(frame) for frame in ALWAYS]


def test_people_keep_their_index_when_they_cross() -> None:
    found = paths(looks(FRAMES, [LEFT_TO_RIGHT, RIGHT_TO_LEFT]))
    assert {tuple(one.box for _, one in path) for path in found.values()} == {
        tuple(walker.box(frame) for frame in ALWAYS) for walker in (LEFT_TO_RIGHT, RIGHT_TO_LEFT)
    }


def test_people_in_like_clothes_keep_their_index_when_one_is_hidden_behind_the_other() -> None:
    hidden = replace(RIGHT_TO_LEFT, dressed=1, seen=[n for n in ALWAYS if n not in (10, 11, 12)])
    found = paths(looks(FRAMES, [LEFT_TO_RIGHT, hidden]))
    assert [times(path) for path in found.values()] in (
        [list(ALWAYS), list(hidden.seen)],
        [list(hidden.seen), list(ALWAYS)],
    )
    assert all(len({one.box.top for _, one in path}) == 1 for path in found.values())


def test_indices_follow_the_order_of_first_appearance() -> None:
    late = replace(RIGHT_TO_LEFT, seen=range(5, FRAMES))
    found = paths(looks(FRAMES, [late, LEFT_TO_RIGHT]))
    assert [times(found[index])[0] for index in (0, 1)] == [0, 5]


def test_who_is_seen_twice_only_was_never_there() -> None:
    flicker = Walker(3, (0.5, 0.1), (0.0, 0.0), [6, 7])
    assert len(paths(looks(FRAMES, [LEFT_TO_RIGHT, flicker]))) == 1


def test_in_a_video_of_two_frames_twice_is_always() -> None:
    assert len(paths(looks(2, [LEFT_TO_RIGHT]))) == 1


def test_a_doubtful_detection_goes_on_with_a_path_but_does_not_begin_one() -> None:
    doubtful = replace(LEFT_TO_RIGHT, confidence=30.0)
    assert paths(looks(FRAMES, [doubtful])) == {}
    half = [look(frame, [LEFT_TO_RIGHT if frame < 8 else doubtful]) for frame in ALWAYS]
    (path,) = paths(half).values()
    assert times(path) == list(ALWAYS)


def test_after_a_cut_another_person_in_the_same_place_is_another() -> None:
    stands = Walker(1, (0.4, 0.3), (0.0, 0.0), ALWAYS, ALWAYS)
    other = replace(stands, who=2)
    film = [look(n, [stands]) if n < 10 else look(n, [other], clothes(14)) for n in ALWAYS]
    assert [times(path) for path in paths(film).values()] == [list(range(10)), list(range(10, FRAMES))]


def test_a_cut_ends_all_tracks() -> None:
    tracker = Tracker(CALIBRATION)
    before = [tracker.follow(*look(n, [LEFT_TO_RIGHT]))[0][0] for n in range(3)]
    after = [tracker.follow(*look(n, [LEFT_TO_RIGHT], clothes(14)))[0][0] for n in range(3, 6)]
    assert (before, after) == ([0, 0, 0], [1, 1, 1])


def test_people_who_meet_out_of_sight_and_turn_back_are_told_apart_by_their_clothes() -> None:
    towards = [Walker(1, (0.2, 0.3), (0.05, 0.0), range(5)), Walker(2, (0.9, 0.3), (-0.05, 0.0), range(5))]
    back = [Walker(1, (0.88, 0.3), (-0.05, 0.0), range(8, 14)), Walker(2, (0.22, 0.3), (0.05, 0.0), range(8, 14))]
    found = paths(looks(14, [*towards, *back]))
    ways = {tuple(one.box for _, one in path) for path in found.values()}
    assert ways == {
        tuple(walker.box(n) for walker in both for n in walker.seen) for both in zip(towards, back, strict=True)
    }


def test_without_a_cut_another_face_in_the_same_place_is_another_person() -> None:
    stands = Walker(1, (0.4, 0.3), (0.0, 0.0), range(10), ALWAYS)
    other = replace(stands, who=2, dressed=1, seen=range(10, FRAMES))
    assert len(paths(looks(FRAMES, [stands, other]))) == 2


@pytest.mark.parametrize("away", [3_000, 60_000, 3_600_000])
def test_a_face_that_comes_back_has_its_index_again(away: int) -> None:
    first = looks(5, [Walker(1, (0.1, 0.3), (0.0, 0.0), range(5), range(5))])
    # In other clothes, and the face shows late.
    again = looks(9, [Walker(1, (0.7, 0.3), (0.0, 0.0), range(9), range(6, 9), dressed=5)])
    found = paths([*first, *((at_ms + away, seen) for at_ms, seen in again)])
    assert len(found) == 1
    assert len(found[0]) == 5 + 9


def test_another_face_that_comes_later_is_somebody_else() -> None:
    first = looks(5, [Walker(1, (0.1, 0.3), (0.0, 0.0), range(5), range(5))])
    again = looks(5, [Walker(2, (0.1, 0.3), (0.0, 0.0), range(5), range(5), dressed=1)])
    assert len(paths([*first, *((at_ms + 5_000, seen) for at_ms, seen in again)])) == 2


def test_clothes_are_known_again_for_a_short_while_only() -> None:
    stands = looks(5, [Walker(1, (0.1, 0.3), (0.0, 0.0), range(5))])
    elsewhere = looks(5, [Walker(1, (0.7, 0.3), (0.0, 0.0), range(5))])
    for away, persons in ((5_000, 1), (people.MOST_APART_MS + 1_000, 2)):
        assert len(paths([*stands, *((at_ms + away, seen) for at_ms, seen in elsewhere)])) == persons


def test_two_people_of_one_time_are_never_one_however_alike() -> None:
    twins = [Walker(1, (left, 0.3), (0.0, 0.0), ALWAYS, ALWAYS) for left in (0.1, 0.7)]
    assert len(paths(looks(FRAMES, twins))) == 2


def test_a_face_is_on_the_body_it_belongs_to() -> None:
    walkers = [replace(one, face_in=ALWAYS) for one in (LEFT_TO_RIGHT, RIGHT_TO_LEFT)]
    found = paths(looks(5, walkers))
    for path in found.values():
        for _, one in path:
            assert one.face is not None
            assert one.box.left < one.face.box.left < one.box.left + one.box.width
            assert one.box.top <= one.face.box.top < one.box.top + one.box.height / 2


def test_a_face_without_a_body_is_a_person_whose_box_is_the_faces() -> None:
    walker = replace(LEFT_TO_RIGHT, face_in=ALWAYS, body=False)
    (path,) = paths(looks(5, [walker])).values()
    assert all(one.face is not None and one.box == one.face.box for _, one in path)


def test_a_person_stays_the_same_when_the_body_or_the_face_is_missed() -> None:
    whole = Walker(1, (0.3, 0.2), (0.0, 0.0), ALWAYS, range(4, 12), size=(0.3, 0.75))
    film = [look(n, [replace(whole, body=n not in (8, 9))]) for n in ALWAYS]
    (path,) = paths(film).values()
    assert times(path) == list(ALWAYS)


def test_the_back_of_a_head_is_not_shown_as_a_face() -> None:
    at_ms, seen = look(0, [replace(LEFT_TO_RIGHT, face_in=[0])])
    seen = replace(seen, faces=(replace(seen.faces[0], confidence=40.0),))
    (path,) = paths([(at_ms, seen)]).values()
    assert path[0][1].face is None


def test_a_template_is_the_mean_of_a_persons_faces_and_no_moment_holds_an_embedding() -> None:
    walkers = [replace(LEFT_TO_RIGHT, face_in=ALWAYS), RIGHT_TO_LEFT]
    with people.followed(looks(FRAMES, walkers)) as followed:
        templates = [person.template for person in followed.persons]
        faces = [one.face for _, seen in followed.moments() for one in seen if one.face is not None]
    assert sorted(template is None for template in templates) == [False, True]
    (template,) = (one for one in templates if one is not None)
    assert np.allclose(template, embedding(1))
    assert faces and all(face.embedding is None for face in faces)


def test_moments_can_be_read_twice() -> None:
    with people.followed(looks(FRAMES, [LEFT_TO_RIGHT])) as followed:
        assert list(followed.moments()) == list(followed.moments())


@st.composite
def films(draw: st.DrawFn) -> list[Look]:
    """Up to five people, who come and go and are missed now and then."""
    ratios = st.integers(0, 64).map(lambda n: n / 128)
    steps = st.integers(-4, 4).map(lambda n: n / 128)
    walkers = [
        Walker(
            who,
            (draw(ratios), draw(ratios)),
            (draw(steps), draw(steps) / 4),
            draw(st.sets(st.integers(0, 15), min_size=1).map(sorted)),
            draw(st.sets(st.integers(0, 15)).map(sorted)),
            confidence=draw(st.sampled_from([30.0, 75.0, 95.0])),
            body=draw(st.booleans()),
        )
        for who in range(draw(st.integers(0, 5)))
    ]
    return looks(16, walkers)


@given(films())
@settings(max_examples=60)
def test_indices_have_no_gaps_and_nobody_is_twice_in_a_frame(film: list[Look]) -> None:
    with people.followed(film) as followed:
        indices = [person.index for person in followed.persons]
        moments = list(followed.moments())
    assert indices == list(range(len(indices)))
    seen = [[one.index for one in persons] for _, persons in moments]
    assert all(len(set(one)) == len(one) for one in seen)
    first = list(dict.fromkeys(index for one in seen for index in one))
    assert first == indices
    assert [at_ms for at_ms, _ in moments] == sorted(at_ms for at_ms, _ in moments)


@given(films(), st.integers(0, 1000))
@settings(max_examples=60)
def test_the_order_of_detections_in_a_frame_does_not_matter(film: list[Look], seed: int) -> None:
    chance = random.Random(seed)

    def shuffled(seen: PersonsResult) -> PersonsResult:
        bodies, faces = list(seen.bodies), list(seen.faces)
        chance.shuffle(bodies)
        chance.shuffle(faces)
        return replace(seen, bodies=tuple(bodies), faces=tuple(faces))

    assert paths((at_ms, shuffled(seen)) for at_ms, seen in film) == paths(film)


@given(films())
@settings(max_examples=40)
def test_observations_travel_between_workers_without_a_change(film: list[Look]) -> None:
    travelled = (wire.decode(wire.encode(one), Look) for one in film)
    assert paths(travelled) == paths(film)


@given(films(), st.integers(1, 16).map(lambda n: n / 64))
@settings(max_examples=40)
def test_paths_move_with_the_picture(film: list[Look], right: float) -> None:
    def moved(box: Box) -> Box:
        return replace(box, left=box.left + right)

    def shifted(seen: PersonsResult) -> PersonsResult:
        # Only bodies: what of a person a face tells depends on where the picture ends.
        return replace(seen, bodies=tuple(replace(one, box=moved(one.box)) for one in seen.bodies), faces=())

    still = paths((at_ms, replace(seen, faces=())) for at_ms, seen in film)
    there = paths((at_ms, shifted(seen)) for at_ms, seen in film)
    assert {index: [(at_ms, moved(one.box)) for at_ms, one in path] for index, path in still.items()} == {
        index: [(at_ms, one.box) for at_ms, one in path] for index, path in there.items()
    }


def test_the_face_model_of_the_looks_decides_what_is_alike() -> None:
    unknown = [(at_ms, replace(seen, face_model_version="0")) for at_ms, seen in looks(3, [LEFT_TO_RIGHT])]
    with pytest.raises(KeyError), people.followed(unknown):
        pass
    with pytest.raises(ValueError, match="models"), people.followed([*looks(3, [LEFT_TO_RIGHT]), *unknown]):
        pass
    with people.followed(looks(3, [LEFT_TO_RIGHT])) as followed:
        assert followed.face_model_version == CALIBRATION.face_model_version
