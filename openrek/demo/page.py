"""A page of pictures with what the image operations say of them: labels, text, moderation, equipment, celebrities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from openrek.demo.faces import group_picture
from openrek.demo.rows import PICTURES, Row, jpeg, judge

NAME = "index.html"
COLOURS = {"DetectLabels": "yellow", "DetectText": "lime", "DetectProtectiveEquipment": "cyan"}
SIGN = ("DELIVERIES", "ring twice, please", "Building 42")
LEAST_CONFIDENCE_OF_WORDS = 60
STYLE = (
    "body{font:15px system-ui;max-width:70em;margin:2em auto;padding:0 1em}figure{display:flex;gap:1.5em;margin:2em 0;"
    "align-items:flex-start;flex-wrap:wrap}img{max-width:36em}dt{font-weight:bold;margin-top:.6em}dd{margin:0;"
    "max-width:30em}.swatch{display:inline-block;width:1em;height:1em;border:1px solid #888;vertical-align:middle}"
)


@dataclass(frozen=True)
class Shown:
    """A picture, and what has to be found in it: a label, the number of people, the words."""

    name: str
    picture: Image.Image
    label: str
    people: int = 0
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Said:
    """What an operation says of a picture, as HTML; whether that is right; boxes and polygons to draw, with names."""

    html: str
    is_right: bool
    drawn: tuple[tuple[list[tuple[float, float]], str], ...] = ()


def rows(client: Any, output_dir: Path) -> Iterator[Row]:
    """Asks the image operations about each picture and writes the page and its pictures."""
    figures = []
    for shown in _pictures():
        data, picture, entries = jpeg(shown.picture), shown.picture.copy(), []
        for operation, ask in ASKED.items():
            said = ask(client, data, shown)
            yield Row(operation, shown.name, judge(said.is_right, _plain(said.html)))
            entries.append(f"<dt>{operation}</dt><dd>{said.html or 'nothing'}</dd>")
            for points, name in said.drawn:
                _draw(picture, points, name, COLOURS[operation])
        picture.save(output_dir / f"page_{shown.name}.png")
        figures.append(
            f'<figure><img src="page_{shown.name}.png" alt="{shown.name}"><dl>{"".join(entries)}</dl></figure>'
        )
    title = "What the image operations say"
    page = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    (output_dir / NAME).write_text(page + "".join(figures) + "\n", encoding="utf-8")


def _pictures() -> list[Shown]:
    def opened(name: str) -> Image.Image:
        return Image.open(PICTURES / f"{name}.jpg").convert("RGB")

    return [
        Shown("eileen_collins", opened("eileen_collins"), "Person", people=1),
        Shown("grace_hopper", opened("grace_hopper"), "Person", people=1),
        Shown("both", group_picture(), "Person", people=2),
        Shown("chelsea", opened("chelsea"), "Cat", words=()),
        Shown("coffee", opened("coffee"), "Cup", words=()),
        Shown("sign", _sign(), "", words=tuple(" ".join(SIGN).split())),
    ]


def _sign() -> Image.Image:
    """A drawn sign, hung a little askew."""
    sign = Image.new("RGB", (640, 420), "#f4efe2")
    draw = ImageDraw.Draw(sign)
    draw.rectangle((70, 60, 570, 350), fill="#24456b")
    for line, text in enumerate(SIGN):
        font = ImageFont.load_default(size=46 if line == 0 else 34)
        draw.text((320, 120 + 82 * line), text, fill="white", anchor="mm", font=font)
    return sign.rotate(6, Image.Resampling.BICUBIC, fillcolor="#f4efe2")


def _labels(client: Any, data: bytes, shown: Shown) -> Said:
    answer = client.detect_labels(Image={"Bytes": data}, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"])
    names = [label["Name"] for label in answer["Labels"]]
    colours = answer["ImageProperties"]["DominantColors"]
    swatches = " ".join(
        f'<span class=swatch style="background:{colour["HexCode"]}"></span> {colour["CSSColor"]}' for colour in colours
    )
    drawn = tuple(
        (_corners(instance["BoundingBox"]), f"{label['Name']} {instance['Confidence']:.0f}")
        for label in answer["Labels"]
        for instance in label["Instances"]
        if label["Name"] in (shown.label, "Person")
    )
    said = ", ".join(f"{escape(label['Name'])} {label['Confidence']:.0f}" for label in answer["Labels"])
    return Said(f"{said}<br>{swatches}", not shown.label or shown.label in names, drawn)


def _moderation(client: Any, data: bytes, _: Shown) -> Said:
    found = client.detect_moderation_labels(Image={"Bytes": data})["ModerationLabels"]
    return Said(", ".join(f"{escape(label['Name'])} {label['Confidence']:.0f}" for label in found), not found)


def _text(client: Any, data: bytes, shown: Shown) -> Said:
    sure = {"WordFilter": {"MinConfidence": LEAST_CONFIDENCE_OF_WORDS}}
    found = client.detect_text(Image={"Bytes": data}, Filters=sure)["TextDetections"]
    words = [one["DetectedText"] for one in found if one["Type"] == "WORD"]
    lines = [one for one in found if one["Type"] == "LINE"]
    drawn = tuple(
        ([(point["X"], point["Y"]) for point in one["Geometry"]["Polygon"]], one["DetectedText"]) for one in lines
    )
    said = "<br>".join(escape(f"{one['DetectedText']} {one['Confidence']:.0f}") for one in lines)
    return Said(said, shown.words is None or sorted(words) == sorted(shown.words), drawn)


def _equipment(client: Any, data: bytes, shown: Shown) -> Said:
    people = client.detect_protective_equipment(Image={"Bytes": data})["Persons"]
    said = "<br>".join(f"person {person['Id']}: {', '.join(map(_part, person['BodyParts']))}" for person in people)
    covers = [cover for person in people for part in person["BodyParts"] for cover in part["EquipmentDetections"]]
    drawn = tuple((_corners(cover["BoundingBox"]), cover["Type"]) for cover in covers)
    return Said(said, len(people) == shown.people, drawn)


def _part(part: dict[str, Any]) -> str:
    covers = [cover["Type"] for cover in part["EquipmentDetections"]]
    return f"{part['Name']} {part['Confidence']:.0f}" + (f" with {', '.join(covers)}" if covers else "")


def _celebrities(client: Any, data: bytes, shown: Shown) -> Said:
    """A fresh gallery is empty, so nobody is known."""
    answer = client.recognize_celebrities(Image={"Bytes": data})
    known, unknown = answer["CelebrityFaces"], answer["UnrecognizedFaces"]
    said = [*(f"{escape(face['Name'])} {face['MatchConfidence']:.0f}" for face in known), f"{len(unknown)} not known"]
    return Said(", ".join(said), len(known) + len(unknown) == shown.people)


ASKED: dict[str, Callable[[Any, bytes, Shown], Said]] = {
    "DetectLabels": _labels,
    "DetectText": _text,
    "DetectModerationLabels": _moderation,
    "DetectProtectiveEquipment": _equipment,
    "RecognizeCelebrities": _celebrities,
}


def _corners(box: dict[str, float]) -> list[tuple[float, float]]:
    left, top, right, bottom = box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _draw(picture: Image.Image, points: list[tuple[float, float]], name: str, colour: str) -> None:
    draw = ImageDraw.Draw(picture)
    pixels = [(x * picture.width, y * picture.height) for x, y in points]
    draw.line([*pixels, pixels[0]], fill=colour, width=3)
    below, above = (pixels[3][0], pixels[3][1] + 2), (pixels[0][0] + 4, max(0.0, pixels[0][1] - 22))
    place = below if below[1] < picture.height - 24 else above
    draw.text(place, name, fill=colour, font_size=18, stroke_width=2, stroke_fill="black")


def _plain(html: str) -> str:
    """A line of a table, without marks."""
    text = html.replace("<br>", "; ").split("; <span")[0]
    return text if len(text) <= 100 else f"{text[:97]}..."
