"""Where the videos that a list names lie in a folder."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from motionfit.inference.errors import DatasetError
from motionfit.training.official import ListedVideo


def locate(
    videos: Iterable[ListedVideo], *, root: Path
) -> tuple[tuple[tuple[ListedVideo, Path], ...], tuple[ListedVideo, ...]]:
    """The videos and their files under ``root``; and those that are not there.

    A file may have another suffix than the list says, for copies in other containers, and may lie
    deeper or flat. The one most alike is taken: by path, by name, by a folder of the video's class
    or split. Raises DatasetError when two files are equally alike.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in root.rglob("*"):
        if path.is_file() and not hidden(path.relative_to(root)):
            by_stem[path.stem].append(path)
    there: list[tuple[ListedVideo, Path]] = []
    absent: list[ListedVideo] = []
    for video in videos:
        if candidates := by_stem.get(PurePosixPath(video.file).stem):
            there.append((video, _most_alike(video, candidates, root=root)))
        else:
            absent.append(video)
    return tuple(there), tuple(absent)


def hidden(path: Path) -> bool:
    """Whether a part of ``path`` starts with a dot."""
    return any(part.startswith(".") for part in path.parts)


def _most_alike(video: ListedVideo, candidates: list[Path], *, root: Path) -> Path:
    listed = PurePosixPath(video.file)
    folders = {video.label, video.columns.get("split", video.label)}

    def alike(path: Path) -> tuple[bool, bool, int]:
        relative = path.relative_to(root)
        return (
            relative.as_posix() == video.file,
            relative.name == listed.name,
            len(folders & set(relative.parent.parts)),
        )

    best = max(map(alike, candidates))
    chosen = sorted(path for path in candidates if alike(path) == best)
    if len(chosen) > 1:
        names = " and ".join(path.relative_to(root).as_posix() for path in chosen)
        raise DatasetError(f"{video.file} could be {names} in {root}; keep one of them there")
    return chosen[0]
