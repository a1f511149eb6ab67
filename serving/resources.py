"""What it means for a request that the machine has no more of something."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from motionfit.serving.errors import Overloaded, StorageFull

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FILES_OR_PROCESSES = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}


@contextmanager
def resources() -> Iterator[None]:
    """Raises StorageFull where the disk is full, Overloaded where files or processes are used up.

    Other errors of the system pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            raise StorageFull("the server has no room for the upload; try again later") from error
        if error.errno in _FILES_OR_PROCESSES:
            raise Overloaded(
                "the server has too much open; try again in a second", retry_after_seconds=1
            ) from error
        raise
