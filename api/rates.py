"""How often an account may call an operation: a token bucket for each pair, in this process."""

import threading
import time
from collections.abc import Callable


class RateLimit:
    """Lets `per_second` calls through on average, and as many at once after a pause (at least one). Thread-safe."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allows(self, account: str, operation: str) -> bool:
        """Whether this call may go on; it is counted then."""
        key = account, operation
        with self._lock:
            now = self._clock()
            left, since = self._buckets.get(key, (self._most, now))
            left = min(self._most, left + (now - since) * self._per_second)
            self._buckets[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1
