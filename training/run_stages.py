"""The stages of MotionFit in one folder: what each does, and how one sees that it is done."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from motionfit.training.checkpoint import CHECKPOINT
from motionfit.training.config import RunConfig
from motionfit.training.evaluate import EvaluateOptions, evaluate
from motionfit.training.fit import fit
from motionfit.training.flow_spec import FlowSpec
from motionfit.training.flow_store import open_flow, open_store
from motionfit.training.labelling import LabelOptions
from motionfit.training.manifest import labels_of, parse_filter
from motionfit.training.pseudo_label import LABELS, PseudoLabelOptions, pseudo_label
from motionfit.training.record import copied_from
from motionfit.training.report_files import JSON, write_report
from motionfit.training.run_config import MethodConfig
from motionfit.training.run_videos import Videos
from motionfit.training.session import CONFIG, RunOptions
from motionfit.training.student import train_student
from motionfit.training.teacher import flow_of, train_teacher
from motionfit.training.unlabelled import of_one_class

TEACHER, PSEUDO_LABEL, STUDENT = "teacher", "pseudo-label", "student"
FINE_TUNED, RANDOM = "fine-tune", "random"
EVALUATE = "evaluate"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of the whole."""

    name: str
    finished: Callable[[], bool]
    """Whether all that it writes is there."""
    do: Callable[[], None]
    """Does it, or goes on with it where it was stopped or killed."""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The stages of one run."""

    config: MethodConfig
    """With folders for flow and decoded videos."""
    output: Path
    """The run folder, absolute; each stage has a folder in it."""
    command: str
    """The command line, for the records."""
    videos: Videos
    console: Console

    def in_order(self) -> tuple[Stage, ...]:
        """Each after those that it needs. Raises ConfigError or CheckpointError when one cannot be
        done.
        """
        config = self.config
        self._check()
        labels = self.output / PSEUDO_LABEL / LABELS
        flow = flow_of(config.for_teacher())
        return (
            *([] if flow is None else [self._flow(flow)]),
            self._training(TEACHER, train_teacher, config.for_teacher()),
            Stage(name=PSEUDO_LABEL, finished=labels.exists, do=self._label),
            self._training(STUDENT, train_student, config.for_student(labels=labels)),
            self._training(FINE_TUNED, fit, config.for_fit(start=self.output / STUDENT)),
            self._training(RANDOM, fit, config.for_fit(start=None)),
            self._evaluation(FINE_TUNED),
            self._evaluation(RANDOM),
            *([self._evaluation(TEACHER)] if flow is None else []),
            *([self._evaluation(STUDENT)] if self.student_recognises else []),
        )

    @property
    def student_recognises(self) -> bool:
        """Whether the student can be measured before it is fine-tuned.

        It knows no classes but clusters if that is what it learnt, and it held no videos out.
        """
        return self.config.labels.kind != "clusters" and self.config.others.test is not None

    def _label_options(self) -> LabelOptions:
        return LabelOptions(**dict(self.config.labels), seed=self.config.train.seed)

    def _check(self) -> None:
        """What would else end the run after hours."""
        self._label_options()
        earlier = self.config.data.calibration_from
        if earlier is not None:
            labels = labels_of(self.videos.labelled)
            copied_from(earlier, spec=self.config.clip.spec(), labels=labels)

    def report(self, network: str) -> Path:
        """The evaluation of a network that sees pictures."""
        return self.output / EVALUATE / network / JSON

    def _flow(self, spec: FlowSpec) -> Stage:
        folder = self.config.flow.flow
        assert folder is not None
        parts = (self.videos.labelled, of_one_class(self.videos.unlabelled), self.videos.test or ())

        def finished() -> bool:
            store = open_store(folder, spec=spec)
            return all(store.find(row.path) is not None for rows in parts for row in rows)

        def do() -> None:
            for rows in parts:  # one by one: names are unique in each data set alone
                open_flow(rows, folder=folder, spec=spec, console=self.console)

        return Stage(name="flow", finished=finished, do=do)

    def _training(self, name: str, train: Callable[..., None], config: RunConfig) -> Stage:
        folder = self.output / name

        def do() -> None:
            resume = (folder / CONFIG).exists()
            options = RunOptions(config=config, output=folder, resume=resume, command=self.command)
            train(options, console=self.console)

        return Stage(name=name, finished=(folder / CHECKPOINT).exists, do=do)

    def _label(self) -> None:
        config, others = self.config, self.config.others
        on_flow = config.teacher.modality == "flow"
        options = PseudoLabelOptions(
            teacher=self.output / TEACHER,
            unlabelled=others.unlabelled,
            lists=config.lists_of(others.unlabelled),
            where=tuple(map(parse_filter, others.unlabelled_where)),
            output=self.output / PSEUDO_LABEL,
            flow=config.flow.flow if on_flow else None,
            grid_clips=None if on_flow else config.flow.grid_clips,
            labels=self._label_options(),
            input=config.input,
            command=self.command,
        )
        pseudo_label(options, console=self.console)

    def _evaluation(self, network: str) -> Stage:
        data, test = self.config.data, self.config.others.test
        source = data.labelled if test is None else test
        where = data.where if test is None else self.config.others.test_where
        report = self.report(network)

        def do() -> None:
            options = EvaluateOptions(
                run=self.output / network,
                labelled=source,
                lists=self.config.lists_of(source),
                where=tuple(map(parse_filter, where)),
                held_out=test is None,
                clips=None,
                crops=1,
                retime=None,
                seed=self.config.train.seed,
                command=self.command,
            )
            write_report(evaluate(options, console=self.console), report.parent)

        return Stage(name=f"{EVALUATE} {network}", finished=report.exists, do=do)
