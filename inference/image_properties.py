"""Brightness, sharpness, contrast and dominant colours of a picture, of what was found in it and of the rest.

The real service publishes neither scales nor methods; docs/accuracy.md says how ours behave.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from inference import colors
from inference.types import Box, DominantColor, ImageProperties, PictureQuality, Pixels, RegionProperties

LONG_SIDE = 512
"""Pixels at which a picture is judged, so that the same scene from another camera is as sharp; smaller ones as they
are."""
LEAST_SHARE = 0.02
"""Of the picture: a smaller foreground or background is none."""


def measure(image: Pixels, foreground: Sequence[Box], most_colors: int) -> ImageProperties:
    """Of an upright picture, `reduced`; the foreground is what lies in the boxes, and is absent where there is none."""
    inside = np.zeros(image.shape[:2], bool)
    for box in foreground:
        inside[_span(box, image)] = True
    share = float(inside.mean())
    apart = LEAST_SHARE <= share <= 1 - LEAST_SHARE
    return ImageProperties(
        image=_region(image, np.ones_like(inside), most_colors, contrast=True),
        foreground=_region(image, inside, most_colors) if share >= LEAST_SHARE else None,
        background=_region(image, ~inside, most_colors) if apart else None,
    )


def box_colors(image: Pixels, boxes: Sequence[Box], most_colors: int) -> list[tuple[DominantColor, ...]]:
    """The dominant colours inside each box of an upright picture, `reduced`."""
    return [colors.dominant(image[_span(box, image)], most_colors) for box in boxes]


def reduced(image: Pixels) -> Pixels:
    """An upright picture with a long side of at most LONG_SIDE."""
    scale = LONG_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _span(box: Box, image: Pixels) -> tuple[slice, slice]:
    """Rows and columns of a box, at least one of each."""
    height, width = image.shape[:2]
    top, left = min(int(box.top * height), height - 1), min(int(box.left * width), width - 1)
    bottom, right = math.ceil((box.top + box.height) * height), math.ceil((box.left + box.width) * width)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _region(image: Pixels, inside: np.ndarray, most_colors: int, contrast: bool = False) -> RegionProperties:
    return RegionProperties(_quality(image, inside, contrast), colors.dominant(image[inside], most_colors))


def _quality(image: Pixels, inside: np.ndarray, contrast: bool) -> PictureQuality:
    """Brightness is the mean luma. Sharpness is the energy of the Laplacian against the region's own contrast
    (Pech-Pacheco et al. 2000), through a logistic. Contrast is the span of luma between its 5th and 95th percentile.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    here = luma[inside]
    detail = float(cv2.Laplacian(luma, cv2.CV_32F)[inside].var()) / (float(here.var()) + 1.0)
    low, high = np.percentile(here, (5, 95))
    return PictureQuality(
        brightness=float(here.mean()) / 2.55,
        sharpness=100.0 / (1.0 + math.exp(-SHARPNESS_SLOPE * (math.log10(detail + 1e-4) - SHARPNESS_MIDDLE))),
        contrast=float(high - low) / 2.55 if contrast else None,
    )


SHARPNESS_SLOPE, SHARPNESS_MIDDLE = 3.0, -1.5
