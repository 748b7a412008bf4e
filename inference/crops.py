"""Upright crops cut out of a picture, and the way back from a crop's pixels to the picture's."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from inference.types import Pixels


@dataclass(frozen=True)
class Crop:
    """`pixels`: uint8 [H, W, 3] RGB; `to_picture`: float64 [2, 3], maps crop pixels to picture pixels."""

    pixels: Pixels
    to_picture: np.ndarray


def cut(image: Pixels, centre: np.ndarray, size: tuple[float, float], degrees: float, shape: tuple[int, int]) -> Crop:
    """The rectangle around `centre` of `size` (width, height), turned clockwise by `degrees`, as `shape` pixels.

    What lies outside the picture is black. A part much larger than the crop is averaged down first.
    """
    wide, high = shape
    along, across = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    to_right, down = max(size[0], 1e-3) / wide, max(size[1], 1e-3) / high
    linear = np.array([[along * to_right, -across * down], [across * to_right, along * down]])
    # pixel centres: the middle of `wide` pixels lies at (wide - 1) / 2
    middle = np.array([(wide - 1) / 2, (high - 1) / 2])
    to_picture = np.hstack([linear, (np.asarray(centre, np.float64) - linear @ middle)[:, None]])
    factor = int(min(size[0] / wide, size[1] / high))
    if factor < 2:
        pixels = _warp(image, to_picture, shape)
    else:
        part, left, top = _reduced(image, to_picture, shape, factor)
        shift = (to_picture[:, 2] - [left, top] + 0.5) / factor - 0.5
        pixels = _warp(part, np.hstack([linear / factor, shift[:, None]]), shape)
    return Crop(pixels, to_picture)


def onto(crop_points: np.ndarray, to_picture: np.ndarray) -> np.ndarray:
    """Points of a crop (float [N, 2] x, y or [N, 3] x, y, z in crop pixels) in picture pixels; z keeps x's scale."""
    placed = crop_points.astype(np.float64)
    placed[:, :2] = placed[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
    placed[:, 2:] *= math.hypot(*to_picture[:, 0])
    return placed


def _warp(image: Pixels, to_picture: np.ndarray, shape: tuple[int, int]) -> Pixels:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, to_picture, shape, flags=flags), np.uint8)


def _reduced(image: Pixels, to_picture: np.ndarray, shape: tuple[int, int], factor: int) -> tuple[Pixels, int, int]:
    """The part of the picture that the crop can touch, `factor` times smaller, and where it begins."""
    wide, high = shape
    corners = np.array([[0, 0], [wide, 0], [0, high], [wide, high]], np.float64)
    reach = onto(corners, to_picture)
    height, width = image.shape[:2]
    left, top = np.clip(reach.min(axis=0).astype(int) - factor, 0, [width - 1, height - 1])
    right, bottom = np.clip(reach.max(axis=0).astype(int) + factor, [left + 1, top + 1], [width, height])
    # whole blocks of factor x factor pixels, so that points scale exactly
    columns, rows = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
    part = image[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), int(left), int(top)
