import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from benchmarks.inputs import hostile_pictures
from inference import containers
from inference.containers import essentials
from inference.errors import ImageDimensionsTooLarge, ImageTooSmall, InvalidImage
from inference.images import MAX_PIXELS, decode, opened

WIDTH, HEIGHT = 120, 80


def _gradient() -> np.ndarray:
    """uint8 [80, 120, 3]; red grows to the right, green downwards, blue is one square at the top left."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 250, WIDTH)
    pixels[..., 1] = np.linspace(0, 250, HEIGHT)[:, None]
    pixels[:20, :20, 2] = 255
    return pixels


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _near(decoded: np.ndarray, expected: np.ndarray, tolerance: float = 3.0) -> bool:
    return bool(np.abs(decoded.astype(int) - expected.astype(int)).mean() <= tolerance)


def test_png_comes_back_to_the_bit() -> None:
    assert np.array_equal(decode(_encode(Image.fromarray(_gradient()), "PNG")), _gradient())


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_pixel_form_becomes_the_rgb_that_a_viewer_shows(mode: str) -> None:
    grey = np.asarray(Image.fromarray(_gradient()).convert("L"))
    if mode == "I;16":
        source, expected = Image.fromarray(grey.astype(np.uint16) * 257), np.stack([grey] * 3, axis=-1)
    elif mode == "1":
        source = Image.fromarray(_gradient()).convert("1")
        expected = np.asarray(source.convert("RGB"))
    else:
        source = Image.fromarray(_gradient()).convert("L" if mode in ("LA", "L") else "RGB").convert(mode)
        expected = np.asarray(source.convert("RGB"))
    assert _near(decode(_encode(source, "JPEG" if mode == "CMYK" else "PNG")), expected)


def test_what_is_transparent_shows_white() -> None:
    pixels = np.dstack([_gradient(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    pixels[40:, :, 3] = 255
    decoded = decode(_encode(Image.fromarray(pixels, "RGBA"), "PNG"))
    assert (decoded[:40] == 255).all()
    assert np.array_equal(decoded[40:], _gradient()[40:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_upright_by_its_exif_orientation(orientation: int) -> None:
    # as a camera would: store the pixels turned, and note how to turn them back
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = Image.fromarray(_gradient())
    if orientation > 1:
        tagged = stored.copy()
        tagged.getexif()[0x0112] = undo[orientation]
        stored = ImageOps.exif_transpose(tagged)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert _near(decode(_encode(stored, "JPEG", exif=exif, quality=95)), _gradient())


def test_a_png_is_taken_as_it_is_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(_encode(Image.fromarray(_gradient()), "PNG", exif=exif)).shape == (HEIGHT, WIDTH, 3)


def test_a_damaged_exif_block_does_not_spoil_the_picture() -> None:
    good = _encode(Image.fromarray(_gradient()), "JPEG", quality=95)
    junk = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40
    marked = good[:2] + b"\xff\xe1" + (len(junk) + 2).to_bytes(2, "big") + junk + good[2:]
    assert _near(decode(marked), _gradient())


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InvalidImage):
        decode(_encode(Image.fromarray(_gradient()), kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_cut_off_file_is_refused(kind: str) -> None:
    data = _encode(Image.fromarray(np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)), kind)
    with pytest.raises(InvalidImage):
        decode(data[: len(data) // 2])


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]))
def test_no_bytes_raise_anything_but_invalid_image(data: bytes, start: bytes) -> None:
    with contextlib.suppress(InvalidImage, ImageDimensionsTooLarge):
        decode(start + data)


@given(st.integers(0, 3000), st.integers(0, 255))
def test_damage_anywhere_is_refused_or_survived(position: int, value: int) -> None:
    data = bytearray(_encode(Image.fromarray(_gradient()), "JPEG"))
    data[position % len(data)] = value
    with contextlib.suppress(InvalidImage, ImageDimensionsTooLarge):
        decode(bytes(data))


@given(
    st.sampled_from([{}, {"subsampling": 0}, {"restart_marker_blocks": 2}, {"progressive": True}]),
    st.sampled_from(["RGB", "L"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255) | st.sampled_from([0xD9, 0xDA, 0xFF])), max_size=4),
    st.integers(0, 3000) | st.none(),
)
@example({}, "RGB", [], None)
@example({"progressive": True}, "RGB", [], None)
def test_a_jpeg_in_any_state_is_what_pillow_makes_of_it(
    options: dict[str, object], mode: str, damage: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(_encode(Image.fromarray(_gradient()).convert(mode), "JPEG", **options)[:length])
    for position, value in damage:
        data[position % max(len(data), 1) : position % max(len(data), 1) + 1] = bytes([value])
    try:
        picture = opened(bytes(data))
    except (InvalidImage, ImageTooSmall, ImageDimensionsTooLarge):
        return
    try:
        expected = np.asarray(Image.open(io.BytesIO(picture.file.data)).convert("RGB"))
    except Exception:
        with pytest.raises(InvalidImage):
            picture.decode()
    else:
        assert np.array_equal(picture.decode(), expected)


def test_plain_jpegs_are_told_from_broken_ones() -> None:
    plain = _encode(Image.fromarray(_gradient()), "JPEG")
    assert essentials(plain).is_one_scan() and essentials(plain + b"more").is_one_scan()
    assert not essentials(plain[:-2]).is_one_scan()
    assert not essentials(plain[:-40] + b"\xff\xc4" + plain[-40:]).is_one_scan()
    assert not essentials(_encode(Image.fromarray(_gradient()), "JPEG", progressive=True)).is_one_scan()
    assert not essentials(_encode(Image.fromarray(_gradient()), "PNG")).is_one_scan()


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_hostile_pictures_are_refused(name: str) -> None:
    data = hostile_pictures.REFUSED[name]()
    assert len(data) <= hostile_pictures.MOST_INLINE_BYTES
    with pytest.raises((InvalidImage, ImageTooSmall, ImageDimensionsTooLarge)):
        opened(data, min_side=80)
        decode(data, min_side=80)


@pytest.mark.parametrize("name", hostile_pictures.ACCEPTED)
def test_odd_pictures_are_read(name: str) -> None:
    data = hostile_pictures.ACCEPTED[name]()
    assert math.prod(decode(data, min_side=80).shape[:2]) == opened(data).pixel_count


def test_of_several_pictures_in_one_jpeg_the_first_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    upside_down = Image.fromarray(_gradient()[::-1, ::-1])
    data = _encode(upside_down, "MPO", save_all=True, append_images=[Image.new("RGB", (80, 80))], exif=exif, quality=95)
    assert _near(decode(data), _gradient())


def test_scans_are_counted() -> None:
    assert decode(hostile_pictures.many_scans(200, 200, containers.MOST_SCANS - 1)).shape == (200, 200, 3)
    with pytest.raises(InvalidImage, match="scans"):
        decode(hostile_pictures.many_scans(200, 200, containers.MOST_SCANS))


def test_a_progressive_jpeg_is_judged_by_all_its_coefficients() -> None:
    whole = _encode(Image.new("RGB", (7000, 5000)), "JPEG", progressive=True, subsampling=0)
    with pytest.raises(ImageDimensionsTooLarge):
        opened(whole)
    halved = _encode(Image.new("RGB", (7000, 4000)), "JPEG", progressive=True, subsampling=2)
    assert opened(halved).pixel_count == 7000 * 4000


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=12), st.binary(max_size=60))
def test_any_segments_are_refused_or_survived(parts: list[tuple[int, bytes]], tail: bytes) -> None:
    segments = b"".join(hostile_pictures.segment(marker, content) for marker, content in parts)
    for data in (b"\xff\xd8" + segments + tail, hostile_pictures.with_segments(hostile_pictures.jpeg(), segments)):
        with contextlib.suppress(InvalidImage, ImageDimensionsTooLarge):
            decode(data)


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=40)), max_size=12))
def test_any_chunks_are_refused_or_survived(parts: list[tuple[bytes, bytes]]) -> None:
    with contextlib.suppress(InvalidImage, ImageDimensionsTooLarge):
        decode(hostile_pictures.png(20, 20, *[hostile_pictures.chunk(*part) for part in parts]))


def test_sizes_are_judged_before_any_pixel_is_decoded() -> None:
    with pytest.raises(ImageTooSmall):
        decode(_encode(Image.new("RGB", (79, 200)), "PNG"), min_side=80)
    # without its pixels: decoding it would fail in another way
    data = _encode(Image.new("RGB", (10_001, 5)), "PNG")
    with pytest.raises(ImageDimensionsTooLarge) as caught:
        decode(data[: data.index(b"IDAT") + 4])
    assert (caught.value.width, caught.value.height) == (10_001, 5)


def test_a_huge_jpeg_is_decoded_smaller_and_a_huge_png_refused() -> None:
    huge = Image.new("RGB", (9000, 6000), (200, 100, 50))
    data = _encode(huge, "JPEG")
    assert opened(data).pixel_count == 4500 * 3000 <= MAX_PIXELS
    decoded = decode(data)
    assert decoded.shape == (3000, 4500, 3) and _near(decoded, np.broadcast_to((200, 100, 50), decoded.shape))
    with pytest.raises(ImageDimensionsTooLarge):
        decode(_encode(huge.convert("1"), "PNG"))
