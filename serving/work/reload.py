"""Serve another bundle without a restart: load, warm up, compare, swap; or keep the old one.

API keys are read first, by themselves: one that was taken back is out, whatever the bundle is like.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from motionfit.inference.errors import MotionfitError
from motionfit.serving.edge.key_file import KeyFile
from motionfit.serving.edge.keys import Keys
from motionfit.serving.errors import ReloadFailed
from motionfit.serving.settings import Settings
from motionfit.serving.work.checking import Checked, check, difference_of
from motionfit.serving.work.engine import Engine
from motionfit.serving.work.pipeline import Pipeline

_T = TypeVar("_T")

log = logging.getLogger(__name__)

RELOADED = frozenset({"bundle", "backend", "device", "threads", "max_batch_clips", "batch_wait_ms"})
"""The settings that a reload takes over; any other needs a restart."""


@dataclass(frozen=True, kw_only=True)
class Reloaded:
    """A reload that was done."""

    model: Checked
    previous: Checked
    difference: float | None
    """Of their logits on the check clip; None where they are not the same model."""
    settings_left: tuple[str, ...]
    """Settings that are others now, but need a restart."""
    seconds: float


class Reloader:
    """Reads the file of keys again, the settings, and the bundle that they name.

    One reload at a time; all who ask while one is in progress share the next one.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, *, keys: Keys | None) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._keys = keys
        self._alone = asyncio.Lock()
        self._next: asyncio.Task[Reloaded] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def reload(self) -> Reloaded:
        """Serve what the settings name now. Goes on when the caller is cancelled.

        Raises NotReady before the server is, and ReloadFailed: then the old model goes on. Keys
        were taken over all the same, unless it is their file that cannot be read.
        """
        return await asyncio.shield(self._asked())

    def on_signal(self) -> None:
        """Reload in the background; the log tells what became of it."""
        self._asked()

    async def close(self) -> None:
        """Wait for the reload that is in progress, and for old models to end."""
        while self._tasks:  # a reload leaves a task for the model that it replaced
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _asked(self) -> asyncio.Task[Reloaded]:
        """The reload that is yet to begin."""
        if self._next is None:
            self._next = self._start(self._logged())
        return self._next

    def _start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it is in the log already; asyncio need not complain

    async def _logged(self) -> Reloaded:
        metrics = self._pipeline.metrics
        async with self._alone:
            self._next = None
            try:
                self._pipeline.require_ready()
                done = await self._reload()
            except MotionfitError as error:
                metrics.reloaded("failed")
                log.error("%s", error)
                raise
        metrics.reloaded("done")
        model, where = done.model.bundle, done.model.backend
        log.info("reloaded: %s %s on %s", model.name, model.version, where)
        return done

    async def _reload(self) -> Reloaded:
        started = time.perf_counter()
        try:
            if self._keys:
                self._keys.file = KeyFile.read(self._keys.path)
            wanted = self._settings.read_again()
            taken = self._taken(wanted)
            engine = await asyncio.to_thread(Engine.open, taken)
            new, old = await self._checked(engine)
        except Exception as error:
            raise self._failed(error) from error
        self._swap(engine, settings=taken)
        return Reloaded(
            model=new,
            previous=old,
            difference=difference_of(new, old),
            settings_left=_names_of_others(wanted, taken),
            seconds=time.perf_counter() - started,
        )

    async def _checked(self, engine: Engine) -> tuple[Checked, Checked]:
        """What the new and the old model say of the check clip. Closes the new one on failure."""
        try:
            with self._pipeline.engine.use() as serving:
                new, old = [
                    await check(each, await self._pipeline.read_check_clip(each.bundle.spec))
                    for each in (engine, serving)
                ]
            difference_of(new, old)
            await engine.stretch()
        except BaseException:
            await engine.retire()
            raise
        return new, old

    def _swap(self, engine: Engine, *, settings: Settings) -> None:
        old = self._pipeline.engine
        self._pipeline.replace(engine)
        self._settings = settings
        self._start(old.retire())

    def _taken(self, wanted: Settings) -> Settings:
        """The settings of now, but for those that a reload takes over."""
        return self._settings.model_copy(update={n: getattr(wanted, n) for n in RELOADED})

    def _failed(self, error: Exception) -> ReloadFailed:
        why = (
            str(error) if isinstance(error, MotionfitError) else f"{type(error).__name__}: {error}"
        )
        bundle = self._pipeline.engine.bundle
        return ReloadFailed(
            f"the reload failed: {why}. {bundle.name} {bundle.version} goes on answering"
        )


def _names_of_others(wanted: Settings, taken: Settings) -> tuple[str, ...]:
    return tuple(
        name for name in type(taken).model_fields if getattr(wanted, name) != getattr(taken, name)
    )
