"""The runner: stages as values, a plan of what is missing, and its execution with skip and resume.

A stage's key is the SHA-256 of {stage, instance, version, config, keys of its inputs}: it changes if and
only if something that the stage may depend on changes, and the artifact's folder is named by it.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from absl import logging

from madvae_tf.errors import UserError
from madvae_tf.interrupts import raise_if_received
from pipeline import artifacts
from pipeline.clock import StageClock
from pipeline.disk import check_workdir, disk_errors, lock_workdir
from pipeline.publish import check_destination, publish_copy

State = Literal["done", "resume", "run"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # "+" is in large numbers, 1e+06
_PLAN_WORDS = {"done": "reuse", "resume": "resume", "run": "run"}


@dataclasses.dataclass(frozen=True)
class Context:
    """What a stage function gets.

    Attributes:
        folder: where to write the artifact's files. It is kept when the process is killed: what the function
            finds here at its start, it (and nobody else) wrote in an earlier attempt with the same key.
        scratch: a folder for what only resuming needs, such as checkpoints. Kept like `folder`, and removed
            when the artifact is finished, so that the function itself need not delete anything.
        inputs: name -> folder of the finished input artifact; not to be written to.
        config: the stage's settings, as JSON has them (tuples are lists).
    """

    folder: Path
    scratch: Path
    inputs: dict[str, Path]
    config: dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """One step of the pipeline, and so one artifact.

    Attributes:
        stage: the kind: data, classifier, attack, vae, evaluate, report, export.
        instance: which one of its kind, such as "train-fgsm-0.25"; "" where there is only one.
        version: raised when the code changes what the stage makes from the same settings.
        config: exactly the settings that the stage reads, as JSON has them.
        inputs: name -> the stage whose artifact is read under that name.
        run: the function; it writes into `Context.folder` and returns nothing.
        publish_to: a folder relative to the workdir that becomes a copy of the artifact; "" for none.
        cost: about how many seconds it takes (`costs`); 0: a moment. Shown, and in no key.

    Raises:
        ValueError: a name that cannot be a folder's, or NaN in the config.
        TypeError: a config that JSON cannot hold.
    """

    stage: str
    instance: str
    version: int
    config: dict[str, Any]
    inputs: Mapping[str, "Stage"]
    run: Callable[[Context], None]
    publish_to: str = ""
    cost: float = 0.0

    def __post_init__(self) -> None:
        for name in filter(None, (self.stage or "?", self.instance)):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"Invalid stage or instance name {name!r}: expected letters, digits, '.', '_', '+', '-'."
                )
        # The copy is what is hashed and what the function reads: a later change of the caller's dict is not seen.
        object.__setattr__(self, "config", json.loads(artifacts.canonical_json(self.config)))

    @functools.cached_property
    def key(self) -> str:
        """64 hexadecimal digits; see the module's docstring."""
        return artifacts.content_key(
            {
                "stage": self.stage,
                "instance": self.instance,
                "version": self.version,
                "config": self.config,
                "inputs": {name: upstream.key for name, upstream in self.inputs.items()},
            }
        )

    @property
    def label(self) -> str:
        """What a person calls it: "attack train-fgsm-0.25"."""
        return f"{self.stage} {self.instance}".strip()

    @property
    def folder_name(self) -> str:
        """The artifact's folder, relative to `<workdir>/artifacts`."""
        prefix = f"{self.instance}-" if self.instance else ""
        return f"{self.stage}/{prefix}{self.key[:12]}"

    def folder(self, workdir: Path) -> Path:
        """The finished artifact's folder; while the stage works, the same name with `.partial` added."""
        return workdir / "artifacts" / self.folder_name

    def partial(self, workdir: Path) -> Path:
        """The folder of an attempt that is not finished."""
        folder = self.folder(workdir)
        return folder.with_name(f"{folder.name}.partial")


@dataclasses.dataclass(frozen=True)
class PlanStep:
    """A stage, its artifact's folder, and what is to do: nothing (done), go on (resume), or all of it (run)."""

    stage: Stage
    folder: Path
    state: State


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        steps: the plan as it was at the start.
        executed: labels of the stages whose function ran.
        seconds: label -> seconds that the stage has taken, over all its attempts, reused or not.
    """

    steps: list[PlanStep]
    executed: list[str]
    seconds: dict[str, float]

    def folder(self, label: str) -> Path:
        """The finished artifact of the stage with that label."""
        return next(step.folder for step in self.steps if step.stage.label == label)


def with_inputs(targets: Iterable[Stage]) -> list[Stage]:
    """The targets and all that they need, each once, inputs before what reads them."""
    ordered: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in ordered:
            for upstream in stage.inputs.values():
                visit(upstream)
            ordered[stage.key] = stage

    for target in targets:
        visit(target)
    return list(ordered.values())


def plan(stages: Sequence[Stage], workdir: Path | str) -> list[PlanStep]:
    """What a run would do. Writes nothing, takes no lock, and reads manifests but not the files they list.

    Raises:
        UserError: the workdir is not a folder, or a finished artifact has no readable manifest.
        ValueError: a stage comes before one of its inputs.
    """
    workdir = Path(workdir)
    check_workdir(workdir)
    steps: list[PlanStep] = []
    seen: set[str] = set()
    for stage in stages:
        if not {upstream.key for upstream in stage.inputs.values()} <= seen:
            raise ValueError(
                f"Stage {stage.label!r} comes before one of its inputs; order stages with with_inputs()."
            )
        seen.add(stage.key)
        folder = stage.folder(workdir)
        state: State = "resume" if stage.partial(workdir).exists() else "run"
        if folder.exists():
            artifacts.read_manifest(folder)
            state = "done"
        steps.append(PlanStep(stage, folder, state))
    return steps


def plan_lines(steps: Sequence[PlanStep]) -> list[str]:
    """The plan for people, one line a stage and what all of it may cost, for `--dry_run`."""
    lines = [
        f"[{number}/{len(steps)}] {step.stage.label} ({step.stage.key[:12]}): {_PLAN_WORDS[step.state]}"
        + ("" if step.state == "done" else _cost(step.stage.cost))
        for number, step in enumerate(steps, 1)
    ]
    total = _missing_cost(steps)
    return [*lines, f"To run{_cost(total)} on two CPU cores."] if total >= 1 else lines


def _missing_cost(steps: Sequence[PlanStep]) -> float:
    return sum(step.stage.cost for step in steps if step.state != "done")


def _cost(seconds: float) -> str:
    """Like ", about 40 s"; nothing for a moment."""
    if seconds < 1:
        return ""
    return f", about {seconds:.0f} s" if seconds < 120 else f", about {seconds / 60:.0f} min"


def run_stages(
    stages: Sequence[Stage],
    workdir: Path | str,
    jobs: int = 1,
    started: Callable[[str], object] | None = None,
) -> RunSummary:
    """Makes every artifact that is missing and publishes those that have a fixed place.

    Everything that is reused is checked, and every fixed place looked at, before the first stage runs.

    Args:
        stages: inputs before what reads them, as `with_inputs` returns them.
        workdir: created if it is not there; held by this process until the end.
        jobs: how many stages may run at a time (`crew`). With 1 they run in this process, one after the other. The artifacts
            are the same; of their seconds, those of stages that ran side by side overlap.
        started: told the label of each stage that is about to run.

    Raises:
        UserError: the workdir is unusable or in use, an artifact is damaged, the disk is full or refuses, a
            fixed place holds somebody else's files, or a stage raised one. What is done so far stays.
    """
    check_workdir(Path(workdir))
    workdir = Path(workdir).absolute()
    executed: list[str] = []
    seconds: dict[str, float] = {}
    with lock_workdir(workdir) as lock:
        steps = plan(stages, workdir)
        for step in steps:
            if step.state == "done":
                artifacts.verify(step.folder, step.stage.key)
            if step.stage.publish_to:
                check_destination(workdir / step.stage.publish_to)
        total = _missing_cost(steps)
        if total >= 1:
            logging.info("What is missing takes%s on two CPU cores.", _cost(total).removeprefix(","))
        heads = {
            step.stage.key: f"[{number}/{len(steps)}] {step.stage.label}"
            for number, step in enumerate(steps, 1)
        }

        def begin(step: PlanStep) -> None:
            verb = "resuming" if step.state == "resume" else "running"
            logging.info("%s: %s%s", heads[step.stage.key], verb, _cost(step.stage.cost))
            if started is not None:
                started(step.stage.label)

        def end(step: PlanStep, ran: bool) -> None:
            stage, head = step.stage, heads[step.stage.key]
            if step.state == "done":
                logging.info("%s: done (reused)", head)
            elif ran:
                executed.append(stage.label)
            with disk_errors(f"Stage {stage.label}", stage.partial(workdir)):
                manifest = artifacts.read_manifest(step.folder)
                seconds[stage.label] = manifest["seconds"]
                if step.state != "done":
                    logging.info("%s: %.1f s", head, manifest["seconds"])
                if stage.publish_to and publish_copy(step.folder, workdir / stage.publish_to):
                    logging.info("%s: published to %s", head, workdir / stage.publish_to)

        if jobs > 1 and sum(step.state != "done" for step in steps) > 1:
            from pipeline.crew import run_side_by_side

            run_side_by_side(steps, workdir, jobs, lock, begin, end)
        else:
            for step in steps:
                raise_if_received()
                ran = False
                if step.state != "done":
                    begin(step)
                    with disk_errors(f"Stage {step.stage.label}", step.stage.partial(workdir)):
                        ran = execute(step.stage, workdir)
                end(step, ran)
    return RunSummary(steps, executed, seconds)


def execute(stage: Stage, workdir: Path) -> bool:
    """Runs one stage to its finished artifact; False if an earlier attempt lacked only the rename."""
    partial, final = stage.partial(workdir), stage.folder(workdir)
    scratch = partial / artifacts.SCRATCH
    manifest = partial / artifacts.MANIFEST
    if manifest.exists():
        try:
            artifacts.verify(partial, stage.key)
        except UserError:
            manifest.unlink()
        else:
            artifacts.rename_finished(partial, final)
            return False
    scratch.mkdir(parents=True, exist_ok=True)
    inputs = {name: upstream.folder(workdir) for name, upstream in stage.inputs.items()}
    with StageClock(scratch / "attempts.json") as clock:
        config = json.loads(artifacts.canonical_json(stage.config))
        stage.run(Context(partial, scratch, inputs, config))
    artifacts.finish(
        partial,
        final,
        {
            "stage": stage.stage,
            "instance": stage.instance,
            "version": stage.version,
            "key": stage.key,
            "config": stage.config,
            "inputs": {
                name: {"key": upstream.key, "folder": upstream.folder_name}
                for name, upstream in stage.inputs.items()
            },
            **clock.totals(),
        },
    )
    return True
