"""Text of pictures through the real networks, in this process."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from inference import networks
from inference.networks import Loader, ModelServerSettings
from inference.pictures import Picture
from inference.pipelines.text import TextNetworks, find_text


@pytest.fixture(scope="module")
def loader(models_dir: Path) -> Loader:
    return Loader(ModelServerSettings(url="", models_dir=models_dir))


def _picture(text: str, turn: int = 0) -> Picture:
    canvas = Image.new("RGB", (640, 200), "white")
    ImageDraw.Draw(canvas).text((40, 70), text, "black", ImageFont.load_default(48))
    return Picture(np.array(canvas.rotate(turn, expand=True)))


def _counted(text: TextNetworks) -> list[tuple[int, ...]]:
    """The shapes of what the detector sees from now on."""
    seen: list[tuple[int, ...]] = []
    predict = text.detector._predict

    def counted(batch: list[np.ndarray]) -> list[np.ndarray]:
        seen.extend(picture.shape for picture in batch)
        return predict(batch)

    text.detector._predict = counted
    return seen


def test_a_picture_is_looked_at_once_coarsely_and_closely_only_at_its_text(loader: Loader) -> None:
    async def scenario() -> None:
        text = networks._text(loader)
        seen, picture = _counted(text), _picture("Platform 9")
        first, again = await asyncio.gather(find_text(picture, text), find_text(picture, text))
        assert first is again and await find_text(picture, text) is first
        assert [line.text for line in first.lines] == ["Platform 9"]
        coarse, close = seen
        assert max(coarse) == 640 and np.prod(close[:2]) < 960 * 300, "not all of the picture"

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["flat", "noise", "slope"])
def test_nothing_is_read_into_pictures_without_text(loader: Loader, kind: str) -> None:
    pixels = {
        "flat": np.full((500, 700, 3), 200, np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (500, 700, 3), np.uint8),
        "slope": np.repeat(np.linspace(0, 255, 700).astype(np.uint8)[None, :, None], 500, axis=0).repeat(3, axis=2),
    }[kind]
    assert asyncio.run(find_text(Picture(pixels), networks._text(loader))).lines == ()


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_text_is_read_whichever_way_the_picture_is_held(loader: Loader, turn: int) -> None:
    result = asyncio.run(find_text(_picture("Departures", turn), networks._text(loader)))
    (line,) = result.lines
    assert line.text == "Departures"
    begin, end = line.polygon[0], line.polygon[1]
    along = [(end.x - begin.x) * result.width, (end.y - begin.y) * result.height]
    expected = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}[turn]
    assert np.dot(along, expected) / np.hypot(*along) == pytest.approx(1, abs=0.02)
