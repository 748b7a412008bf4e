import cv2
import numpy as np
import pytest

from inference.planes import planes


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (127.5, 1 / 127.5), (0.0, 1 / 255), (127.5, 1 / 128)])
@pytest.mark.parametrize("bgr", [True, False])
def test_planes_are_opencv_s_blobs_to_the_last_bit(mean: float, scale: float, bgr: bool) -> None:
    random = np.random.default_rng(7)
    pictures = [random.integers(0, 256, (20, 33, 3), dtype=np.uint8) for _ in range(3)]
    blob = cv2.dnn.blobFromImages(pictures, scale, mean=(mean,) * 3, swapRB=bgr)
    assert np.array_equal(planes(pictures, mean, scale, bgr), blob)
