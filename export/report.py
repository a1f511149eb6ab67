"""What was verified, as JSON for programs and as Markdown for people."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from motionfit.export.clips import RealClips
from motionfit.export.manifest import parity_record
from motionfit.export.parity import Difference, Parity
from motionfit.inference.bundle import Bundle
from motionfit.training.whole_files import written_whole

JSON = "parity.json"
MARKDOWN = "parity.md"
HEADINGS = (
    "",
    "logits",
    "embedding",
    "cosine",
    "KL",
    "same top-1",
    "top-1",
    "in a batch",
    "within limits",
)


def write_report(
    results: Sequence[Parity], folder: Path, *, bundle: Bundle, clips: RealClips
) -> None:
    """Write parity.json and parity.md into ``folder``, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "bundle": bundle.name,
        "version": bundle.version,
        **parity_record(results, clips=clips),
        "problems": [problem for result in results for problem in result.problems()],
    }
    texts = {
        JSON: json.dumps(record, indent=2, ensure_ascii=False) + "\n",
        MARKDOWN: report_markdown(results, bundle=bundle, clips=clips),
    }
    for name, text in texts.items():
        with written_whole(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def report_markdown(results: Sequence[Parity], *, bundle: Bundle, clips: RealClips) -> str:
    """A table with a row for each result, what its columns mean, and what is outside limits."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, results)]
    problems = [problem for result in results for problem in result.problems()]
    return (
        "\n".join(
            (
                f"# Parity of {bundle.name}, version {bundle.version}",
                "",
                _explanation(results, clips=clips),
                "",
                *(f"| {' | '.join(row)} |" for row in table),
                "",
                "## Limits",
                "",
                *_limits(results),
                "",
                *(
                    ["## Outside the limits", "", *(f"- {one}" for one in problems)]
                    if problems
                    else ()
                ),
            )
        ).rstrip()
        + "\n"
    )


def _explanation(results: Sequence[Parity], *, clips: RealClips) -> str:
    """What the cells of the results' rows mean, in sentences."""
    accuracy = results[0].accuracy
    known = (
        f"top-1 is on the {accuracy.clips} clips of known class, the reference's in brackets"
        if accuracy
        else "no clip is of known class, so there is no top-1"
    )
    sizes = sorted({size for result in results for size in result.batches})
    return (
        f"{len(clips.frames)} real clips ({clips.source}). Logits and embedding: absolute "
        "differences, largest / mean, as shares of the reference's largest value. Cosine: the "
        "smallest of a clip. KL: the largest divergence of a clip's classes, in nats. Same top-1: "
        f"share of clips with the reference's best class; {known}. In a batch: the largest "
        f"difference of a clip in batches of {' and '.join(map(str, sizes))} from the clip alone."
    )


def _cells(result: Parity) -> tuple[str, ...]:
    """A result under HEADINGS."""
    accuracy, rows = result.accuracy, result.rows
    return (
        f"{result.subject} against {result.reference}",
        _shares(result.distance.logits),
        _shares(result.distance.embedding),
        f"{result.distance.cosine:.7f}",
        f"{result.divergence:.0e}",
        f"{result.top1_agreement:.1%}",
        f"{accuracy.found:.1%} ({accuracy.reference:.1%})" if accuracy else "",
        f"{rows.logits.share:.0e}" if rows else "",
        "no" if result.problems() else "yes",
    )


def _limits(results: Sequence[Parity]) -> Iterator[str]:
    for result in results:
        limits = result.limits
        yield (
            f"- {result.subject}: difference {limits.difference:g}, cosine {limits.cosine:g}, "
            f"KL {limits.divergence:g}, same top-1 {limits.agreement:.0%}, in a batch "
            f"{limits.rows:g}"
        )


def _shares(difference: Difference) -> str:
    return f"{difference.share:.0e} / {difference.mean / (difference.scale or 1.0):.0e}"
