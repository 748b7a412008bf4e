import subprocess
import sys

import pytest

FREED_AND_TAKEN_AGAIN = """
import resource
import numpy as np
from inference import memory
memory.keep_little()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = np.ones({megabytes} << 20, np.uint8)
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
@pytest.mark.parametrize("megabytes", [1, 20, 40, 150])
def test_memory_that_was_freed_is_not_new_when_it_is_taken_again(megabytes: int) -> None:
    command = [sys.executable, "-c", FREED_AND_TAKEN_AGAIN.format(megabytes=megabytes)]
    new_pages = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert new_pages < 50
