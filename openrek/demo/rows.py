"""The lines that a demo prints, and the pictures that it draws."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

PICTURES = Path(__file__).parent.parent / "pictures"


@dataclass(frozen=True)
class Row:
    """One line of the printed table."""

    operation: str
    asked: str
    answer: str


def judge(right: bool, text: str) -> str:
    return text if right else f"WRONG: {text}"


def print_table(rows: list[Row]) -> None:
    wide = [max(len(getattr(row, column)) for row in rows) for column in ("operation", "asked")]
    for row in rows:
        print(f"{row.operation:{wide[0]}}  {row.asked:{wide[1]}}  {row.answer}")


def draw_face(picture: Image.Image, face: dict[str, Any], text: str, colour: str) -> None:
    draw, box = ImageDraw.Draw(picture), face["BoundingBox"]
    left, top = box["Left"] * picture.width, box["Top"] * picture.height
    right, bottom = left + box["Width"] * picture.width, top + box["Height"] * picture.height
    draw.rectangle((left, top, right, bottom), outline=colour, width=3)
    draw.text((left + 4, max(0.0, top - 22)), text, fill=colour, font_size=18, stroke_width=2, stroke_fill="black")
    for point in face["Landmarks"]:
        x, y = point["X"] * picture.width, point["Y"] * picture.height
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
