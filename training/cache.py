"""Every video of a data set decoded once, at training size, for all processes of a run.

The frames lie in memory, which is free again when the run ends, however it ends; or in a folder,
for later runs too. What finds no room there is decoded anew each time it is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from motionfit.training.cached_video import CachedVideo
from motionfit.training.config import Input
from motionfit.training.frame_folder import open_folder
from motionfit.training.frame_store import (
    MemoryStore,
    Room,
    Store,
    if_there_is_room,
    open_room,
)
from motionfit.training.manifest import Row
from motionfit.training.videos import Unreadable, read_each, report_unreadable

FREE_SHARE = 0.75  # of the memory or disk that is free; the rest is for everything else


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The videos of a data set. Picklable: other processes may use it too while it is open."""

    videos: tuple[tuple[Row, CachedVideo], ...]
    """Those that can be read, in the order of the rows."""
    unreadable: tuple[Unreadable, ...]


@contextmanager
def open_cache(
    rows: Sequence[Row], *, short_side: int, config: Input, console: Console
) -> Iterator[Cache]:
    """The videos of ``rows``, scaled to a short side of ``short_side`` pixels.

    What cannot be read is named and left out. Raises DatasetError when a class loses its last video
    by that, CacheError when the folder cannot be written to.
    """
    store = _store(config, short_side=short_side)
    allowed = int(config.cache_gb * 1e9)
    found = {row.name: video for row in rows if (video := store.find(row.path)) is not None}
    free = int(FREE_SHARE * store.free_bytes())
    limit = min(allowed, sum(video.size_bytes for video in found.values()) + free)
    with open_room(limit) as room:
        found = {name: if_there_is_room(video, room) for name, video in found.items()}
        cache = _filled(rows, store, found=found, room=room, console=console)
        used = {video.stored.file for _, video in cache.videos if video.stored is not None}
        store.trim(used, limit_bytes=allowed)
        _report(cache, found=len(found), limit=limit, config=config, console=console)
        yield cache


def _store(config: Input, *, short_side: int) -> Store:
    if config.cache is None:
        return MemoryStore(short_side=short_side)
    return open_folder(config.cache, short_side=short_side)


def _filled(
    rows: Sequence[Row],
    store: Store,
    *,
    found: Mapping[str, CachedVideo],
    room: Room,
    console: Console,
) -> Cache:
    read, unreadable = read_each(
        [row for row in rows if row.name not in found],
        partial(store.read, room=room),
        what="decoding videos",
        console=console,
    )
    report_unreadable(unreadable, rows=rows, console=console)
    videos = {**found, **{row.name: video for row, video in read}}
    return Cache(
        videos=tuple((row, videos[row.name]) for row in rows if row.name in videos),
        unreadable=unreadable,
    )


def _report(cache: Cache, *, found: int, limit: int, config: Input, console: Console) -> None:
    kept = [video for _, video in cache.videos if video.stored is not None]
    gigabytes = sum(video.size_bytes for video in kept) / 1e9
    place = "memory" if config.cache is None else f"{config.cache}, {found} of them from before"
    _say(console, f"{len(kept)} videos take {gigabytes:.2f} GB of {place}")
    if left := len(cache.videos) - len(kept):
        _say(
            console,
            f"{left} of {len(cache.videos)} videos do not fit into the {limit / 1e9:.2f} GB that "
            "are allowed (--cache-gb) and free, and are decoded anew each time",
            style="yellow",
        )


def _say(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(text, style=style, highlight=False, markup=False)
