"""What a run used each video of a data set for, even where another data set names them otherwise.

A video is taken for one of the run's when it is the same file, or has the file name and size of
one: names start from the root of each data set, so that two videos of one name need not be the
same, nor one video have one name. Of files that are not there any more only names are compared.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionfit.training.checkpoint import CheckpointError
from motionfit.training.manifest import Row
from motionfit.training.session import CONFIG
from motionfit.training.used_videos import FILE, HELD_OUT, TRAINING, read_used


def uses_of(run: Path, rows: Sequence[Row]) -> Mapping[str, str]:
    """What the run used the ``rows`` for, by name: TRAINING or HELD_OUT; the others are absent."""
    used, root = read_used(run), _root_of(run)
    there = {root / name: use for name, use in used.items() if (root / name).is_file()}
    paths = {file.resolve(): use for file, use in there.items()}
    copies = {_name_and_size(file): use for file, use in there.items()}
    gone = {name: use for name, use in used.items() if root / name not in there}
    found = {
        row.name: paths.get(row.path.resolve())
        or copies.get(_name_and_size(row.path))
        or gone.get(row.name)
        for row in rows
    }
    return {name: use for name, use in found.items() if use is not None}


def seen_by(run: Path, rows: Sequence[Row]) -> frozenset[str] | None:
    """The names of the ``rows`` that the run trained on or held out; None if it does not say.

    Of the run's files that are gone, file names without folders count too: rather one too many.
    """
    used, root = read_used(run), _root_of(run)
    if not used:
        return None
    files = [root / name for name in used]
    gone = {file.name for file in files} - {file.name for file in files if file.is_file()}
    return frozenset(uses_of(run, rows)) | {row.name for row in rows if row.path.name in gone}


def use_warnings(
    run: Path,
    training: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    network: str,
    calibrated: bool = True,
) -> tuple[str, ...]:
    """Why figures of ``network`` on the ``rows`` are better than on new videos, a sentence each.

    ``training`` is the record in the network's checkpoint; without ``calibrated`` its scores are
    not looked at.
    """
    if not read_used(run):
        return (
            f"it is not known whether {network} was trained on any of these {len(rows)} videos: "
            f"{run.name} is no run folder that tells",
        )
    uses = Counter(uses_of(run, rows).values())
    trained, fitted = uses[TRAINING], uses[HELD_OUT]
    patient = training.get("configuration", {}).get("train", {}).get("patience")
    before = training.get("data", {}).get("held_out_seen_by_start")
    found = {
        f"{network} was trained on {trained} of these {len(rows)} videos, so its accuracy on new "
        "ones is lower": trained,
        f"{network} got its temperature and threshold from {fitted} of these {len(rows)} videos, "
        "so the calibration error is better than on others": fitted and calibrated,
        f"{network} has the weights that did best on {fitted} of these {len(rows)} videos "
        "(--patience), so its accuracy on others is lower": fitted and patient,
        f"{network} started from weights that were trained on {before} of the videos that it held "
        "out, so its accuracy on new ones is lower": fitted and before,
    }
    return tuple(sentence for sentence, so in found.items() if so)


def held_out_of(run: Path, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The ``rows`` that the run held out. Raises CheckpointError when it held none of them out."""
    uses = uses_of(run, rows)
    kept = tuple(row for row in rows if uses.get(row.name) == HELD_OUT)
    if not kept:
        raise CheckpointError(
            f"{run} held none of these {len(rows)} videos out"
            if read_used(run)
            else f"{run} has no {FILE} that tells which videos it held out: give its run folder"
        )
    return kept


def _root_of(run: Path) -> Path:
    """The folder that the names of the run's videos start from."""
    try:
        values = tomllib.loads((run / CONFIG).read_text(encoding="utf-8"))
        source = Path(
            values["data"]["labelled"] if "data" in values else values["source"]["unlabelled"]
        )
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError):
        return run  # where none of the files is: their names are compared
    return source.parent if source.is_file() else source


def _name_and_size(file: Path) -> tuple[str, int]:
    return file.name, file.stat().st_size
