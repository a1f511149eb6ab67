"""Accuracy of a bundle on labelled videos, by the very path that answers users."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from motionfit.benchmarks.result import Result, Video
from motionfit.benchmarks.session import Session
from motionfit.inference.bundle import Bundle
from motionfit.inference.clip import ClipSpec
from motionfit.inference.errors import DatasetError, VideoError
from motionfit.inference.isolation import DecoderProcess
from motionfit.inference.prediction import Prediction, predict
from motionfit.inference.runner import Runner
from motionfit.inference.video import Clips
from motionfit.training import scores
from motionfit.training.manifest import METADATA, Row, read_manifest
from motionfit.training.scores import Accuracy, Scored, Unreadable


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """A bundle on a runtime, with the way to read videos for it."""

    bundle: Bundle
    runner: Runner
    num_clips: int | None
    """Clips of a video; None for the bundle's own number."""
    workers: int
    """Decoding processes."""


@dataclass(frozen=True, kw_only=True)
class NamedVideo:
    """A file, and what the results call it."""

    path: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A video that was recognised."""

    video: Video
    prediction: Prediction
    """All classes, best first."""


def measure_accuracy(
    recogniser: Recogniser,
    rows: Sequence[Row],
    *,
    dataset: str,
    unknown: Sequence[NamedVideo],
    seed: int,
    after_video: Callable[[], None] = lambda: None,
) -> tuple[Accuracy, tuple[Video, ...]]:
    """Accuracy over ``rows``, and the record of every video that could be read.

    ``unknown`` are videos of no known class. Raises DatasetError when a row's label is not one of
    the bundle's, or when no video can be read.
    """
    labels = recogniser.bundle.labels
    check_labels(rows, labels=labels)
    seen, unreadable = _recognise(
        recogniser,
        [NamedVideo(path=row.path, name=row.name) for row in rows],
        after_video=after_video,
    )
    strangers, unreadable_strangers = _recognise(recogniser, unknown, after_video=after_video)
    _check_any(seen, unreadable)
    judged = None
    if unknown:
        _check_any(strangers, unreadable_strangers)
        answered = [stranger.prediction.label is not None for stranger in strangers]
        judged = scores.judge_unknown(answered, unreadable=unreadable_strangers, seed=seed)
    by_name = {row.name: row for row in rows}
    accuracy = scores.judge(
        [_scored(one, row=by_name[one.video.name], labels=labels) for one in seen],
        dataset=dataset,
        labels=labels,
        unreadable=unreadable,
        unknown=judged,
        seed=seed,
    )
    return accuracy, tuple(one.video for one in (*seen, *strangers))


def accuracy_result(
    recogniser: Recogniser,
    rows: Sequence[Row],
    *,
    dataset: str,
    where: str,
    unknown: Sequence[NamedVideo],
    session: Session,
    after_video: Callable[[], None],
) -> Result:
    """``measure_accuracy`` as a result of kind ``accuracy``; ``where`` is how rows were chosen."""
    measured, videos = measure_accuracy(
        recogniser,
        rows,
        dataset=dataset,
        unknown=unknown,
        seed=session.seed,
        after_video=after_video,
    )
    return session.finish(
        kind="accuracy",
        settings={
            "clips": recogniser.num_clips or recogniser.bundle.spec.num_clips,
            "where": where,
            "runner": recogniser.runner.name,
        },
        bundle=recogniser.bundle,
        videos=videos,
        accuracy=measured,
    )


def check_labels(rows: Sequence[Row], *, labels: tuple[str, ...]) -> None:
    """Raise DatasetError unless every row's label is one of ``labels``."""
    if strange := sorted({row.label for row in rows} - set(labels)):
        raise DatasetError(
            f"the bundle knows no {', '.join(strange)}; its classes are {', '.join(labels)}. "
            "Leave them out with --where, or give such videos as --unknown"
        )


def unknown_videos(source: Path) -> tuple[NamedVideo, ...]:
    """The videos of a data set or of any folder, labels aside. Raises DatasetError when empty."""
    if source.is_file() or (source / METADATA).is_file():
        return tuple(NamedVideo(path=row.path, name=row.name) for row in read_manifest(source))
    found = tuple(
        NamedVideo(path=path, name=path.relative_to(source).as_posix())
        for path in sorted(source.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise DatasetError(f"{source} holds no video")
    return found


def read_in_order(
    paths: Sequence[Path], *, spec: ClipSpec, num_clips: int | None, workers: int
) -> Generator[Clips | VideoError, None, None]:
    """The clips of each video, or why it has none, in order.

    Each of ``workers`` child processes decodes one video at a time, at most ``2 * workers``
    videos ahead of the one being taken.
    """
    idle: SimpleQueue[DecoderProcess] = SimpleQueue()

    def read(path: Path) -> Clips | VideoError:
        decoder = idle.get()
        try:
            return decoder.read_clips(path, spec=spec, num_clips=num_clips)
        except VideoError as error:
            return error
        finally:
            idle.put(decoder)

    with ExitStack() as stack:
        for _ in range(workers):
            idle.put(stack.enter_context(DecoderProcess()))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        pending: deque[Future[Clips | VideoError]] = deque()
        for path in paths:
            pending.append(pool.submit(read, path))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _recognise(
    recogniser: Recogniser, videos: Sequence[NamedVideo], *, after_video: Callable[[], None]
) -> tuple[list[Seen], list[Unreadable]]:
    spec, labels = recogniser.bundle.spec, recogniser.bundle.labels
    seen, unreadable = [], []
    read = read_in_order(
        [video.path for video in videos],
        spec=spec,
        num_clips=recogniser.num_clips,
        workers=recogniser.workers,
    )
    with closing(read):
        for video, clips in zip(videos, read, strict=True):
            if isinstance(clips, VideoError):
                unreadable.append(Unreadable(video=video.name, code=clips.code, reason=str(clips)))
            else:
                output = recogniser.runner.run(clips.frames)
                prediction = predict(output.logits, spec=spec, labels=labels, top=len(labels))
                record = Video.of(video.path, info=clips.info, name=video.name)
                seen.append(Seen(video=record, prediction=prediction))
            after_video()
    return seen, unreadable


def _scored(one: Seen, *, row: Row, labels: tuple[str, ...]) -> Scored:
    by_label = {entry.label: entry.score for entry in one.prediction.top}
    return Scored(
        video=one.video.name,
        label=row.label,
        group=row.columns.get("group"),
        frame_rate=one.video.frame_rate,
        scores=np.array([by_label[label] for label in labels]),
        answered=one.prediction.label is not None,
    )


def _check_any(seen: Sequence[Seen], unreadable: Sequence[Unreadable]) -> None:
    if not seen:
        first = unreadable[0]
        raise DatasetError(
            f"none of {len(unreadable)} videos could be read; {first.video}: {first.reason}"
        )
