"""The reviewed tables of labels and of the classes of networks."""

from pathlib import Path

import pytest

from inference.models.object_detector import CLASSES
from inference.taxonomy import labels as taxonomy

OBSERVED = {
    "Alloy Wheel": "Car;Car Wheel;Machine;Spoke;Tire;Transportation;Vehicle;Wheel",
    "Audience": "Crowd;Person",
    "Beanie": "Cap;Clothing;Hat",
    "Blazer": "Clothing;Coat;Jacket",
    "Building": "Architecture",
    "Computer Hardware": "Electronics;Hardware",
    "Dog": "Animal;Canine;Mammal;Pet",
    "Duck": "Animal;Bird",
    "Fire Hydrant": "Hydrant",
    "Gown": "Clothing;Dress;Fashion;Formal Wear",
    "Jaguar Car": "Car;Transportation;Vehicle",
    "Lawn": "Grass;Plant",
    "Man": "Adult;Male;Person",
    "Microphone": "Electrical Device",
    "Neck": "Body Part;Face;Head;Person",
    "Person": "",
    "Poodle": "Animal;Canine;Dog;Mammal;Pet",
    "Portrait": "Face;Head;Person;Photography",
    "Race Car": "Car;Sports Car;Transportation;Vehicle",
    "Smile": "Face;Happy;Head;Person",
    "Stone Wall": "Architecture;Building;Wall",
    "Street": "City;Road;Urban",
    "Terrier": "Animal;Canine;Dog;Mammal;Pet",
    "Tie": "Accessories;Formal Wear",
    "Woman": "Adult;Female;Person",
}
"""Ancestors in answers of the real service."""

CHOSEN = {
    6: "Stingray", 134: "Crane Bird", 207: "Golden Retriever", 242: "Dog", 264: "Dog", 312: "Cricket Insect",
    408: "Amphibious Vehicle", 417: "Balloon", 456: "Bow", 474: "Cardigan", 517: "Construction Crane",
    536: "Port", 666: "Kitchen Utensil", 673: "Computer Hardware", 684: "Musical Instrument", 724: "Ship",
    782: "Screen", 815: "Spider Web", 934: "Hot Dog", 980: "Volcano", 999: "Toilet Paper",
}  # fmt: skip
"""Classes whose number tells a name from another with the same spelling, and some at the ends of the list."""
WITHOUT = {398, 448, 455, 523, 583, 615, 674, 676, 680, 692, 733, 798, 804, 840}
"""Classes for which the list of labels has no name: abacus, birdhouse, crutch, muzzle, and so on."""


def test_every_label_has_one_of_forty_categories_and_no_alias_is_a_label() -> None:
    labels = taxonomy.labels()
    assert len(labels) == 3083 and len({entry.category for entry in labels.values()}) == 40
    aliases = [alias for entry in labels.values() for alias in entry.aliases]
    assert "Human" in labels["Person"].aliases and not set(aliases) & labels.keys()


def test_every_ancestor_is_a_label_whose_ancestors_are_the_childs_too() -> None:
    labels = taxonomy.labels()
    for name, entry in labels.items():
        assert list(entry.parents) == sorted(set(entry.parents) - {name})
        for parent in entry.parents:
            assert set(labels[parent].parents) <= set(entry.parents), (name, parent)


@pytest.mark.parametrize("name", OBSERVED)
def test_ancestors_are_those_that_the_service_prints(name: str) -> None:
    assert taxonomy.labels()[name].parents == tuple(filter(None, OBSERVED[name].split(";")))


@pytest.mark.parametrize("direct", [{"a": ("b",), "b": ("a",)}, {"a": ("a",)}, {"a": ("nobody",)}])
def test_a_circle_or_an_unknown_parent_is_refused(direct: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        taxonomy._ancestors("a", direct, ())


def test_every_class_of_the_detector_stands_for_a_label() -> None:
    classes = taxonomy.classes("coco")
    assert tuple(one.name for one in classes) == CLASSES
    assert all(len(one.labels) == 1 and set(one.labels) <= taxonomy.labels().keys() for one in classes)
    assert [one.name for one in classes if not one.boxes] == ["skis", "snowboard"]


def test_every_class_of_the_classifier_stands_for_labels_or_expressly_for_none() -> None:
    classes = taxonomy.classes("imagenet")
    assert len(classes) == 1000
    assert {number for number, one in enumerate(classes) if not one.labels} == WITHOUT
    for one in classes:
        assert len(set(one.labels)) == len(one.labels)
        assert taxonomy.closure(one.labels) <= taxonomy.labels().keys()
        # a label beside its own ancestor would be no information
        assert not any(set(taxonomy.labels()[name].parents) & set(one.labels) for name in one.labels), one


def test_classes_are_numbered_as_the_network_has_them() -> None:
    classes = taxonomy.classes("imagenet")
    assert {number: classes[number].labels[0] for number in CHOSEN} == CHOSEN


def test_what_the_tables_may_say_has_parents_where_it_is_a_kind_of_something() -> None:
    """Every dog is an animal: a slip in one line of the table shows in the share of animals among the first 398."""
    classes = taxonomy.classes("imagenet")
    not_animals = [one.name for one in classes[:398] if one.labels and "Animal" not in taxonomy.closure(one.labels)]
    assert not_animals == ["trilobite"]
    assert not [one.name for one in classes[398:] if "Animal" in taxonomy.closure(one.labels)]


def test_the_tables_have_no_stray_spaces() -> None:
    for table in Path(taxonomy.__file__).parent.glob("*.csv"):
        lines = table.read_text(encoding="utf-8").splitlines()
        assert all(cell == cell.strip() for line in lines for cell in line.replace(";", ",").split(",")), table
