"""A bundle in service is freed when, and only when, nobody uses it any more."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from motionfit.inference.errors import BundleError
from motionfit.serving.settings import Settings
from motionfit.serving.work.engine import Engine
from tests.serving.conftest import SPEC

CLIPS = np.zeros((2, SPEC.num_frames, SPEC.crop, SPEC.crop, 3), np.uint8)


def test_retired_engine_works_until_its_last_user_is_done(bundle: Path) -> None:
    async def use() -> None:
        engine = Engine.open(Settings(bundle=bundle))
        with engine.use():
            retiring = asyncio.create_task(engine.retire())
            with engine.use():
                await asyncio.sleep(0.05)
            output, milliseconds = await engine.run(CLIPS)
            assert not retiring.done()
        await retiring
        assert output.logits.shape == (2, 3)
        assert milliseconds > 0
        with pytest.raises(RuntimeError, match="closed"):
            await engine.run(CLIPS)

    asyncio.run(use())


def test_clips_of_another_form_are_refused_before_they_join_a_batch(bundle: Path) -> None:
    async def use() -> None:
        engine = Engine.open(Settings(bundle=bundle))
        for wrong in (CLIPS[0], CLIPS[:0], CLIPS.astype(np.float32), CLIPS[:, :, :-1]):
            with pytest.raises(ValueError, match="frames must be"):
                await engine.run(wrong)
        await engine.retire()

    asyncio.run(use())


def test_engine_of_no_bundle_leaves_nothing(tmp_path: Path, nothing_left: None) -> None:
    with pytest.raises(BundleError):
        Engine.open(Settings(bundle=tmp_path))
