"""The command from end to end: real processes, tiny networks, a kill in the middle."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from motionfit.benchmarks.figures import look_up, read_quotable
from motionfit.benchmarks.report.begun import BEGUN, read_begun, refuse_other_run
from motionfit.benchmarks.report.names import full_name
from motionfit.benchmarks.report.numbers import percent
from motionfit.benchmarks.report.options import trained_networks
from motionfit.benchmarks.report.result import ReportResult, read_report
from motionfit.benchmarks.report.systems import LIKE_FOR_LIKE, REFERENCE
from motionfit.benchmarks.result import ResultError
from tests.benchmarks.conftest import COMMAND, Bench
from tests.benchmarks.report_runs import TinyExperiment


def arguments(experiment: TinyExperiment, output: Path) -> list[str]:
    data = ["--runs", str(experiment.runs), "--data", str(experiment.data)]
    return ["report", "-o", str(output), "--quick", "--clips", "2", "--threads", "1", *data]


@pytest.fixture(scope="module")
def resumed(
    report_runs: TinyExperiment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int]]:
    """The folder of a report that was killed after its first part, and went on; and when the parts
    that were there then were written.
    """
    output = tmp_path_factory.mktemp("report") / "report"
    killed = subprocess.Popen(
        [COMMAND, *arguments(report_runs, output)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list(output.glob("parts/*.json")):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("parts/*.json")}
    done = subprocess.run(
        [COMMAND, *arguments(report_runs, output)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(before)} of 6 parts were measured before" in done.stderr
    assert "Like for like" in done.stdout
    return output, before


@pytest.fixture(scope="module")
def report(resumed: tuple[Path, dict[str, int]]) -> ReportResult:
    return read_report(resumed[0] / "report.json")


def test_what_was_measured_before_the_kill_is_kept(resumed: tuple[Path, dict[str, int]]) -> None:
    output, before = resumed
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("parts/*.json")}
    assert before.items() <= after.items()
    assert len(after) == 6


def test_the_first_row_is_like_for_like(report: ReportResult) -> None:
    row = report.rows[0]
    assert (row.without_flow, row.other) == (REFERENCE.name, LIKE_FOR_LIKE.name)
    assert row.time is not None
    assert row.cpu is not None
    # Two networks and flow take longer than one; of a busy machine only processor time tells.
    assert row.cpu.value > 1.2
    [own, other] = [report.system(name) for name in (row.without_flow, row.other)]
    assert own is not None
    assert other is not None
    assert own.stages_ms["flow"] == 0 < other.stages_ms["flow"]
    assert own.refused["p99"] == "n too small: 11 samples, 662 needed"


def test_accuracy_is_that_of_the_networks_that_are_timed(
    report: ReportResult, report_runs: TinyExperiment
) -> None:
    own, other = report.accuracy(REFERENCE.name), report.accuracy(LIKE_FOR_LIKE.name)
    assert own is not None
    assert other is not None
    assert other.difference is not None
    assert own.top1 is not None
    assert other.top1 is not None
    assert other.difference.value == pytest.approx(other.top1.value - own.top1.value, abs=1e-5)
    [cell] = own.cells
    [videos] = report.videos.values()
    assert len(own.right[cell]) == len(videos) == 3  # of 14, every fifth
    assert {video.name for part in report.parts for video in part.videos} <= {
        path.name for path in report_runs.videos
    }


def test_the_html_needs_nothing_else(resumed: tuple[Path, dict[str, int]]) -> None:
    text = (resumed[0] / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources
    for source in sources:
        head, _, content = source.partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(content).startswith(b"\x89PNG")
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)


def test_no_file_names_a_folder_of_this_machine(
    resumed: tuple[Path, dict[str, int]], report_runs: TinyExperiment
) -> None:
    for name in ("report.html", "report.md", "report.json"):
        text = (resumed[0] / name).read_text()
        assert str(report_runs.runs.parent) not in text
        assert str(Path.home()) + "/" not in text


def test_drawn_again_with_another_machine(
    resumed: tuple[Path, dict[str, int]], bench: Bench, tmp_path: Path
) -> None:
    source = resumed[0] / "report.json"
    values = json.loads(source.read_text())
    values["machine"]["cpu"] = "Another CPU"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(values))
    done = bench("report-draw", source, "--with", other, "-o", tmp_path / "drawn")
    assert done.returncode == 0, done.stderr
    again, before = (
        (folder / "report.md").read_text() for folder in (tmp_path / "drawn", resumed[0])
    )
    assert "## On another machine: Another CPU, " in again
    assert set(before.splitlines()) <= set(again.splitlines())


def test_a_folder_begun_with_other_options_is_refused(
    resumed: tuple[Path, dict[str, int]], bench: Bench, report_runs: TinyExperiment
) -> None:
    changed = [*arguments(report_runs, resumed[0]), "--seed", "1"]
    done = bench(*changed)
    assert done.returncode == 1
    assert "was begun with others (seed)" in done.stderr


def test_what_is_missing_is_not_measured_by_another_revision(
    resumed: tuple[Path, dict[str, int]],
    bench: Bench,
    report_runs: TinyExperiment,
    tmp_path: Path,
) -> None:
    output = tmp_path / "report"
    shutil.copytree(resumed[0], output)
    values = json.loads((output / BEGUN).read_text())
    (output / BEGUN).write_text(json.dumps(values | {"revision": "another", "plan": "another"}))
    drawn = bench(*arguments(report_runs, output))  # nothing is missing
    assert drawn.returncode == 0, drawn.stderr
    (output / "parts" / "first.0.json").unlink()
    done = bench(*arguments(report_runs, output))
    assert done.returncode == 1
    assert "was begun with others (plan, revision)" in done.stderr


def test_networks_trained_later_take_no_part_and_changed_ones_are_refused(
    resumed: tuple[Path, dict[str, int]],
    bench: Bench,
    report_runs: TinyExperiment,
    tmp_path: Path,
) -> None:
    begun = read_begun(resumed[0])
    assert begun is not None
    runs = tmp_path / "runs"
    shutil.copytree(report_runs.runs, runs)
    own = begun.model_copy(update={"options": begun.options.model_copy(update={"runs": str(runs)})})
    cell = own.options.trained_cells()[0]
    later = cell.checkpoint("mers")
    later.parent.mkdir(parents=True)
    shutil.copy(cell.checkpoint("motionfit"), later)
    assert "mers" in trained_networks(runs)[cell.name]
    assert "mers" not in {arm for one in own.options.trained_cells() for arm in one.networks}
    refuse_other_run(own, folder=resumed[0])
    cell.checkpoint("flow-network").write_bytes(b"other")
    with pytest.raises(ResultError, match=f"the network {cell.name}/flow-network"):
        refuse_other_run(own, folder=resumed[0])


def test_the_preparation_measures_nothing_that_a_clock_decides(
    bench: Bench,
    report_runs: TinyExperiment,
    resumed: tuple[Path, dict[str, int]],
    tmp_path: Path,
) -> None:
    output = tmp_path / "report"
    done = bench(*arguments(report_runs, output), "--prepare")
    assert done.returncode == 0, done.stderr
    names = {path.name.partition("-")[0] for path in output.glob("parts/*.json")}
    assert names == {"files.0.json", "accuracy"}
    assert "about 1 min" in done.stderr
    prepared = read_report(output / "report.json")
    assert (prepared.systems, prepared.parts) == ((), ())
    student = prepared.accuracy(REFERENCE.name)
    assert student is not None
    drawn = bench("report-draw", output / "report.json", "-o", tmp_path / "drawn")
    assert drawn.returncode == 1
    assert "nothing is timed in this report yet" in drawn.stderr
    assert not (tmp_path / "drawn").exists()
    beside = bench(
        "report-draw", resumed[0] / "report.json", "--with", output / "report.json", "-o",
        tmp_path / "drawn",
    )  # fmt: skip
    assert beside.returncode == 0, beside.stderr
    written = (tmp_path / "drawn" / "report.md").read_text()
    assert "accuracy alone" in written
    assert "Of 2 systems that both reports have, 2 are right on the very same videos" in written
    assert f"| {full_name(REFERENCE.name)} | {percent(student.top1)} |" in written


def test_a_video_that_cannot_be_read_ends_it_at_once(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    done = bench("report", "-o", tmp_path / "report", "--quick", tmp_path / "broken.mp4")
    assert done.returncode == 1
    assert done.stderr.count("process 1 of") == 1
    assert "cannot be prepared: error: got a file" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_nothing_to_time_is_wrong_use(bench: Bench, tmp_path: Path) -> None:
    done = bench("report", "-o", tmp_path / "report")
    assert done.returncode == 2
    assert "give videos" in done.stderr
    assert not os.listdir(tmp_path)


def test_figures_of_a_report_can_be_quoted(resumed: tuple[Path, dict[str, int]]) -> None:
    found = read_quotable(resumed[0] / "report.json")
    path = f"rows[other={LIKE_FOR_LIKE.name}].cpu.value"
    assert look_up(found.model_dump(mode="json"), path) > 1
