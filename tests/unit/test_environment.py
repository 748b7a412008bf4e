"""What the serving environment is made of."""

import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 700_000_000
SERVING = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "serve.lock").read_text(), re.MULTILINE)


def test_opencv_comes_without_a_screen() -> None:
    """The build with windows needs libGL and X11, which servers lack, and overwrites the other's files."""
    for lock in ("serve", "dev"):
        lines = (ROOT / "requirements" / f"{lock}.lock").read_text().splitlines()
        assert all("sys_platform == 'never'" in line for line in lines if line.startswith("opencv-python=="))
    look = "import cv2; print(open('/proc/self/maps').read())"
    mapped = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert "cv2" in mapped
    assert not re.search(r"/(libGL|libX11|libxcb|libQt)[.\w-]*\.so", mapped)


def test_serving_needs_no_torch_and_few_megabytes() -> None:
    assert not {"torch", "torchvision", "insightface", "scipy"} & set(SERVING)
    sizes = {name: _size(name) for name in SERVING}
    assert sizes["numpy"] > 1_000_000
    assert sum(sizes.values()) < MOST_BYTES


def _size(name: str) -> int:
    """Bytes of an installed distribution without compiled Python; 0 for one of other systems."""
    try:
        files = Distribution.from_name(name).files or []
    except PackageNotFoundError:
        return 0
    paths = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())
