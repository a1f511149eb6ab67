"""A result of kind ``flow`` as a table on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from motionfit.benchmarks.flow_speed import FIELD, VIDEOS
from motionfit.benchmarks.result import Result
from motionfit.benchmarks.tables import estimate_cells, noise_notes


def flow_table(result: Result) -> Table:
    """Videos and clips per second of each way, beside the plain loop of OpenCV."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("flow by", no_wrap=True)
    for name in ("videos/s", "95 % interval", "clips/s", "x opencv", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    ratios = {one.denominator: one.ratio for one in result.ratios}
    rates = {(one.name, one.unit): one.per_second for one in result.rates}
    for name in dict.fromkeys(rate.name for rate in result.rates):
        table.add_row(
            name.removeprefix(f"{VIDEOS}/"),
            *estimate_cells(rates[name, "videos"], ".1f"),
            estimate_cells(rates[name, "clips"], ".0f")[0],
            *estimate_cells(ratios.get(name), ".2f"),
        )
    return table


def flow_notes(result: Result) -> list[str]:
    """What a field takes by each method, how far both agree, what storing costs, and noise."""
    fields = [case for case in result.cases if case.name.startswith(f"{FIELD}/")]
    values = result.settings
    return [
        *(f"{case.name}: {case.summary.mean:.2f} ms by one thread" for case in fields),
        f"the same flow: correlation {values['correlation']}, median difference "
        f"{values['median_difference_px']} pixels, over {values['same_frames']} fields between "
        "the same frames",
        f"storing changes flow of {values['flow_rms_px']} pixels (root mean square) by "
        f"{values['storage_rms_px']}; {values['bytes_per_clip']} bytes a clip",
        *_storage_notes(values),
        *(f"not timed: {one.name}: {one.reason}" for one in result.excluded),
        *noise_notes(result),
    ]


def _storage_notes(values: Mapping[str, Any]) -> list[str]:
    if "storage_videos" not in values:
        return []
    return [
        f"a teacher is right about {values['storage_stored_top1']:.1%} of "
        f"{values['storage_videos']} videos by stored flow and {values['storage_exact_top1']:.1%} "
        f"by exact flow; {values['storage_other_answers']} answers differ"
    ]
