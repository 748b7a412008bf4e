import subprocess
import sys

import pytest

FREED_AND_TAKEN_AGAIN = """
import resource
from inference import memory
memory.keep_little({arguments})
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = b"\\1" * ({megabytes} << 20)
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_OF_A_MEGABYTE = 256

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")


def _new_pages(megabytes: int, arguments: str = "") -> int:
    program = FREED_AND_TAKEN_AGAIN.format(megabytes=megabytes, arguments=arguments)
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("megabytes", [1, 20, 40, 150])
def test_memory_that_was_freed_is_not_new_when_it_is_taken_again(megabytes: int) -> None:
    assert _new_pages(megabytes) < 50


def test_blocks_above_a_size_go_back_at_once() -> None:
    bounded = "32 << 20, 8 << 20"
    assert _new_pages(1, bounded) < 50 and _new_pages(7, bounded) < 50
    assert _new_pages(9, bounded) >= 9 * PAGES_OF_A_MEGABYTE // 2
