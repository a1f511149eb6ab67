"""How much room an installation takes: packages, with all that they need."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

INSTALLED = {
    "student, ONNX Runtime": ("motionfit", "onnxruntime"),
    "student, OpenVINO": ("motionfit", "openvino"),
    "two streams, OpenVINO": ("motionfit", "openvino", "opencv-contrib-python-headless"),
    "two streams, PyTorch": (
        *("motionfit", "torch", "torchvision"),
        "opencv-contrib-python-headless",
    ),
}
"""What is installed to answer for videos -> its packages."""


def install_bytes() -> dict[str, int]:
    """Bytes on disk of each installation, as far as its packages are installed here."""
    found = {name: _bytes(packages) for name, packages in INSTALLED.items()}
    return {name: size for name, size in found.items() if size is not None}


def _bytes(packages: Iterable[str]) -> int | None:
    """Bytes of the files of packages and of all that they need; None when one is not there."""
    todo, sizes = list(packages), dict[str, int]()
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in sizes:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            return None
        paths = (Path(str(found.locate_file(file))) for file in found.files or ())
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file())
        required = (Requirement(text) for text in found.requires or ())
        todo += [one.name for one in required if _applies(one)]
    return sum(sizes.values())


def _applies(required: Requirement) -> bool:
    """Whether it is needed here, without extras."""
    return required.marker is None or required.marker.evaluate({"extra": ""})
