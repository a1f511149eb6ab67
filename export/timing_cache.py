"""What TensorRT measured while it built a plan, kept so that the next build need not measure again.

One file for each GPU and version of TensorRT: times of one are wrong for another.
"""

import hashlib
import logging
import os
import re
from pathlib import Path

from motionfit.inference.cuda_driver import Gpu
from motionfit.training.whole_files import written_whole

DIGEST_BYTES = hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def timing_cache_folder() -> Path:
    """Where the user's caches are: ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "motionfit" / "tensorrt"


def timing_cache_file(folder: Path, *, version: str, gpu: Gpu) -> Path:
    """The cache of a version of TensorRT on a GPU."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", gpu.name).strip("-")
    return folder / f"tensorrt-{version}-{name}-{gpu.compute_capability}.timing"


def read_timing_cache(path: Path) -> bytes:
    """What was stored; empty when there is nothing, or, with a line in the log, when damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        logger.warning("building without the timing cache %s: %s", path, error)
        return b""
    digest, measured = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if digest == hashlib.sha256(measured).digest():
        return measured
    logger.warning("building without the timing cache %s: it is damaged, and made anew", path)
    return b""


def store_timing_cache(path: Path, measured: bytes) -> None:
    """Store what TensorRT measured. A cache that cannot be written is a line in the log."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as unfinished:
            unfinished.write_bytes(hashlib.sha256(measured).digest() + measured)
    except OSError as error:
        logger.warning("the timing cache %s is not kept: %s", path, error)
