"""Brightness, sharpness, contrast and dominant colours of a picture, of what was found in it and of the rest.

The real service publishes neither scales nor methods; docs/accuracy.md says how ours behave.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference import colors
from inference.types import Box, DominantColor, ImageProperties, PictureQuality, Pixels, RegionProperties

LONG_SIDE = 512
"""Pixels at which a picture is judged, so that the same scene from another camera is as sharp; smaller ones as they
are."""
LEAST_SHARE = 0.02
"""Of the picture: a smaller foreground or background is none."""


Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """What is seen of a picture: `luma` uint8 [H, W], `detail` float32 [H, W], the Laplacian of it, and for each pixel
    the number of its named colour, uint8 [H, W]."""

    luma: Mask
    detail: np.ndarray
    colors: colors.ColorNumbers


def view(image: Pixels) -> View:
    """Of an upright picture, with a long side of at most LONG_SIDE."""
    small = _reduced(image)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    return View(luma, cv2.Laplacian(luma, cv2.CV_32F), colors.nearest(small))


def measure(seen: View, foreground: Sequence[Box], most_colors: int) -> ImageProperties:
    """The foreground is what lies in the boxes, and is absent where there is none."""
    inside = np.zeros(seen.luma.shape, np.uint8)
    for box in foreground:
        inside[_span(box, seen)] = 1
    share = float(inside.mean())
    apart = LEAST_SHARE <= share <= 1 - LEAST_SHARE
    return ImageProperties(
        image=_region(seen, None, most_colors),
        foreground=_region(seen, inside, most_colors) if share >= LEAST_SHARE else None,
        background=_region(seen, 1 - inside, most_colors) if apart else None,
    )


def box_colors(seen: View, boxes: Sequence[Box], most_colors: int) -> list[tuple[DominantColor, ...]]:
    """The dominant colours inside each box."""
    return [colors.dominant(seen.colors[_span(box, seen)], most_colors) for box in boxes]


def _reduced(image: Pixels) -> Pixels:
    scale = LONG_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _span(box: Box, seen: View) -> tuple[slice, slice]:
    """Rows and columns of a box, at least one of each."""
    height, width = seen.luma.shape
    top, left = min(int(box.top * height), height - 1), min(int(box.left * width), width - 1)
    bottom, right = math.ceil((box.top + box.height) * height), math.ceil((box.left + box.width) * width)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _region(seen: View, inside: Mask | None, most_colors: int) -> RegionProperties:
    """Of the pixels inside; of all, and then with the contrast, where None is given."""
    return RegionProperties(_quality(seen, inside), colors.dominant(seen.colors, most_colors, inside))


def _quality(seen: View, inside: Mask | None) -> PictureQuality:
    """Brightness is the mean luma. Sharpness is the energy of the Laplacian against the region's own contrast
    (Pech-Pacheco et al. 2000), through a logistic. Contrast is the span of luma between its 5th and 95th percentile.
    """
    mean, deviation = _moments(seen.luma, inside)
    _, energy = _moments(seen.detail, inside)
    detail = energy**2 / (deviation**2 + 1.0)
    return PictureQuality(
        brightness=mean / 2.55,
        sharpness=100.0 / (1.0 + math.exp(-SHARPNESS_SLOPE * (math.log10(detail + 1e-4) - SHARPNESS_MIDDLE))),
        contrast=_contrast(seen.luma) if inside is None else None,
    )


def _moments(values: np.ndarray, inside: Mask | None) -> tuple[float, float]:
    """Mean and standard deviation."""
    mean, deviation = cv2.meanStdDev(values, mask=inside)
    return float(mean[0, 0]), float(deviation[0, 0])


def _contrast(luma: Mask) -> float:
    """From how often each value occurs: sorting all takes ten times as long."""
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel()
    low, high = np.quantile(np.arange(256), (0.05, 0.95), weights=counts, method="inverted_cdf")
    return float(high - low) / 2.55


SHARPNESS_SLOPE, SHARPNESS_MIDDLE = 3.0, -1.5
