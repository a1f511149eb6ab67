"""Windows on a video, put together from pictures that come one by one, in order."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from motionfit.inference.decoding import Shown
from motionfit.inference.picture import Picture
from motionfit.inference.sampling import Times


def windows(times_us: Times, *, shown: Shown) -> Iterator[list[Picture]]:
    """The T pictures of each of K windows that show the moments ``times_us`` (K, T), which ascend
    in each window and from one to the next.

    ``shown`` gives the pictures on screen at ascending moments. Windows may overlap: a picture is
    asked for once, and let go of after the last window that shows it.
    """
    moments, places = np.unique(times_us, return_inverse=True)
    pictures = shown(moments)
    kept: deque[Picture] = deque()
    first = 0  # the place of the first that is kept
    wanted: list[int]
    for wanted in places.reshape(times_us.shape):
        while first < wanted[0]:
            kept.popleft()
            first += 1
        while first + len(kept) <= wanted[-1]:
            kept.append(next(pictures))
        yield [kept[place - first] for place in wanted]
