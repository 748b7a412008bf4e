"""The dominant colours of pixels: each pixel counts as the named colour of CSS that is nearest to it."""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from inference.types import DominantColor, Pixels

LEAST_PERCENT = 10.0
"""Smaller shares are left out, as the seen answers of the real service do (labels.md)."""

SIMPLIFIED = {
    "black": "black",
    "white": "white whitesmoke snow ghostwhite ivory floralwhite mintcream azure aliceblue seashell linen oldlace "
    "honeydew lavenderblush antiquewhite blanchedalmond papayawhip",
    "grey": "gray dimgrey darkgrey silver lightgrey gainsboro slategrey lightslategrey darkslategrey",
    "red": "red darkred firebrick crimson indianred maroon lightcoral",
    "orange": "orange darkorange coral orangered tomato salmon lightsalmon darksalmon sandybrown peachpuff moccasin "
    "navajowhite bisque",
    "yellow": "yellow gold goldenrod khaki palegoldenrod lemonchiffon lightyellow lightgoldenrodyellow cornsilk beige",
    "green": "green darkgreen darkolivegreen darkseagreen forestgreen seagreen mediumseagreen springgreen lime "
    "mediumspringgreen palegreen lightgreen limegreen lawngreen chartreuse greenyellow yellowgreen olivedrab olive "
    "darkkhaki",
    "cyan": "cyan darkcyan lightcyan teal turquoise darkturquoise mediumturquoise paleturquoise aquamarine "
    "mediumaquamarine lightseagreen cadetblue",
    "blue": "blue navy darkblue mediumblue midnightblue royalblue cornflowerblue dodgerblue deepskyblue skyblue "
    "lightskyblue lightblue powderblue steelblue lightsteelblue slateblue darkslateblue mediumslateblue",
    "purple": "purple indigo rebeccapurple blueviolet darkviolet darkorchid mediumorchid mediumpurple darkmagenta "
    "magenta orchid plum violet thistle lavender",
    "pink": "pink lightpink hotpink deeppink palevioletred mediumvioletred mistyrose",
    "brown": "brown saddlebrown sienna chocolate peru tan burlywood rosybrown darkgoldenrod wheat",
}
"""The named colours of CSS (CSS Color Module Level 4, section 6.1) under twelve simple names. Spelled grey, but for
gray itself, as the service does."""

_NAMES = tuple((css, simple) for simple, many in SIMPLIFIED.items() for css in many.split())
_STEP = 8
_STEPS = 256 // _STEP

ColorNumbers = npt.NDArray[np.uint8]


def nearest(image: Pixels) -> ColorNumbers:
    """The number of the named colour that each pixel of uint8 [H, W, 3] RGB is nearest to, uint8 [H, W]."""
    cells, green, blue = (plane.astype(np.uint16) for plane in cv2.split(image // _STEP))
    for plane in (green, blue):
        cells *= _STEPS
        cells += plane
    # There is nothing to clip, but it spares a check that takes as long as the rest.
    numbers: ColorNumbers = _nearest().take(cells, mode="clip")
    return numbers


def dominant(
    numbers: ColorNumbers, most: int, inside: npt.NDArray[np.uint8] | None = None
) -> tuple[DominantColor, ...]:
    """The colours of at least LEAST_PERCENT of pixels, uint8 [H, W] from `nearest`, largest share first, at most
    `most`; where `inside`, uint8 [H, W], is not 0."""
    counts = cv2.calcHist([numbers], [0], inside, [len(_NAMES)], [0, len(_NAMES)]).ravel().astype(np.float64)
    percents = 100 * counts / max(counts.sum(), 1)
    order = np.argsort(-percents, kind="stable")[:most]
    return tuple(_color(*_NAMES[int(n)], float(percents[n])) for n in order if percents[n] >= LEAST_PERCENT)


def _color(css: str, simplified: str, percent: float) -> DominantColor:
    red, green, blue = _rgb(css)
    return DominantColor(red, green, blue, css, simplified, percent)


@cache
def _nearest() -> ColorNumbers:
    """uint8 [_STEPS ** 3]: the nearest colour, by distance in CIELAB, of each cell of _STEP RGB values a side."""
    middles = np.arange(_STEP // 2, 256, _STEP, dtype=np.float32)
    cube = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1).reshape(-1, 3)
    named = np.array([_rgb(css) for css, _ in _NAMES], np.float32)
    distances = np.linalg.norm(_lab(cube)[:, None] - _lab(named)[None], axis=2)
    return np.asarray(distances.argmin(axis=1).astype(np.uint8))


def _rgb(css: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(css)[:3]
    return red, green, blue


def _lab(colors: np.ndarray) -> np.ndarray:
    """CIELAB of float32 [N, 3] RGB, 0..255."""
    return np.asarray(cv2.cvtColor(colors[None] / 255, cv2.COLOR_RGB2LAB)[0])
