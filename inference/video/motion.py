"""Where a box will be: a Kalman filter of constant velocity, as in SORT (Bewley et al., "Simple Online and Realtime
Tracking", 2016), with noise in proportion to the box's height as in DeepSORT (Wojke et al., 2017).

Centre x, centre y, width and height are four filters of their own: nothing in the model joins them. Times are seconds,
lengths pixels.
"""

from dataclasses import dataclass

import numpy as np

MEASURED = np.array([0.05, 0.05, 0.1, 0.07])
"""Standard deviation of a measurement, as the ratios below in box heights."""
ACCELERATION = np.array([1.0, 1.0, 0.5, 0.5])
"""Of the white noise that changes the velocity, per second squared."""
FIRST_VELOCITY = np.array([1.0, 0.5, 0.2, 0.2])
"""Per second, of what is seen for the first time; people walk at about 0.8 heights a second."""


@dataclass(frozen=True, eq=False)
class Motion:
    """`mean` float64 [4, 2]: centre x, centre y, width and height, and their change per second; `covariance` float64
    [4, 2, 2]."""

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """float64 [4]: centre x, centre y, width, height."""
        return self.mean[:, 0]


def started(box: np.ndarray) -> Motion:
    """From the first box: float64 [4], centre x, centre y, width, height."""
    spread = np.zeros((4, 2, 2))
    spread[:, 0, 0] = (MEASURED * box[3]) ** 2
    spread[:, 1, 1] = (FIRST_VELOCITY * box[3]) ** 2
    return Motion(np.stack([box, np.zeros(4)], axis=1), spread)


def predicted(motion: Motion, seconds: float) -> Motion:
    """So much later. Sizes never become negative."""
    step = np.array([[1.0, seconds], [0.0, 1.0]])
    noise = np.array([[seconds**4 / 4, seconds**3 / 2], [seconds**3 / 2, seconds**2]])
    strength = (ACCELERATION * max(motion.box[3], 1.0)) ** 2
    mean = motion.mean @ step.T
    mean[2:, 0] = mean[2:, 0].clip(1.0)
    return Motion(mean, step @ motion.covariance @ step.T + strength[:, None, None] * noise)


def corrected(motion: Motion, box: np.ndarray) -> Motion:
    """With the box that was seen: float64 [4], centre x, centre y, width, height."""
    spread = motion.covariance[:, 0, 0] + (MEASURED * box[3]) ** 2
    gain = motion.covariance[:, :, 0] / spread[:, None]
    mean = motion.mean + gain * (box - motion.box)[:, None]
    mean[2:, 0] = mean[2:, 0].clip(1.0)
    return Motion(mean, motion.covariance - gain[:, :, None] * motion.covariance[:, None, 0, :])


def overlaps(boxes: np.ndarray, others: np.ndarray, room: float) -> np.ndarray:
    """Intersection over union, [N, M], of boxes [N, 4] and [M, 4] (centre x, centre y, width, height), each grown by
    `room` of its size on every side (C-BIoU: Yang et al., "Hard to Track Objects with Irregular Motions and Similar
    Appearances?", 2023)."""
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    sizes, other_sizes = boxes[:, 2:] * (1 + 2 * room), others[:, 2:] * (1 + 2 * room)
    low = np.maximum((boxes[:, :2] - sizes / 2)[:, None], (others[:, :2] - other_sizes / 2)[None])
    high = np.minimum((boxes[:, :2] + sizes / 2)[:, None], (others[:, :2] + other_sizes / 2)[None])
    common = (high - low).clip(0).prod(axis=2)
    both = sizes.prod(axis=1)[:, None] + other_sizes.prod(axis=1)[None] - common
    return np.asarray(common / np.maximum(both, 1e-9))
