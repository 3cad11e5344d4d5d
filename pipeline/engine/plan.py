"""Stages as values, and the plan of what is missing.

A stage's key is the SHA-256 of {stage, instance, version, config, keys of its inputs}: it changes
if and only if something that the stage may depend on changes, and the artifact's folder is named by
it.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from madvae_tf.utils.progress import duration
from pipeline.engine import artifacts
from pipeline.engine.channels import members
from pipeline.engine.disk import check_workdir
from pipeline.engine.titles import title_of

State = Literal["done", "resume", "run"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # "+" is in large numbers, 1e+06
_PLAN_WORDS = {"done": "reuse", "resume": "resume", "run": "run"}


@dataclasses.dataclass(frozen=True)
class Context:
    """What a stage function gets.

    Attributes:
        folder: where to write the artifact's files. It is kept when the process is killed: what the
            function finds here at its start, it (and nobody else) wrote in an earlier attempt with
            the same key.
        scratch: a folder for what only resuming needs, such as checkpoints. Kept like `folder`, and
            removed when the artifact is finished, so that the function itself need not delete
            anything.
        inputs: name -> folder of the finished input artifact; not to be written to.
        config: the stage's settings, as JSON has them (tuples are lists).
    """

    folder: Path
    scratch: Path
    inputs: dict[str, Path]
    config: dict[str, Any]

    def channel(self, kind: str) -> dict[str, Path]:
        """Name -> folder, of the inputs of the channel `kind`."""
        return members(self.inputs, kind)


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
        publish_to: a folder relative to the workdir that becomes a copy of the artifact; "" for
            none.
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
                    f"Invalid stage or instance name {name!r}: expected letters, digits, '.', '_',"
                    " '+', '-'."
                )
        # The copy is what is hashed and what the function reads: a later change of the caller's
        # dict is not seen.
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
        """Kind and instance: "attack train-fgsm-0.25"."""
        return f"{self.stage} {self.instance}".strip()

    @property
    def title(self) -> str:
        """What people call it: "attack FGSM 0.25, training images"."""
        return title_of(self.stage, self.instance)

    @property
    def folder_name(self) -> str:
        """The artifact's folder, relative to `<workdir>/artifacts`."""
        prefix = f"{self.instance}-" if self.instance else ""
        return f"{self.stage}/{prefix}{self.key[:12]}"

    def folder(self, workdir: Path) -> Path:
        """The finished artifact's folder; while the stage works, the same name with `.partial`
        added.
        """
        return workdir / "artifacts" / self.folder_name

    def partial(self, workdir: Path) -> Path:
        """The folder of an attempt that is not finished."""
        folder = self.folder(workdir)
        return folder.with_name(f"{folder.name}.partial")


@dataclasses.dataclass(frozen=True)
class PlanStep:
    """A stage, its artifact's folder, what is to do: nothing (done), go on (resume), or all of it
    (run), and what a done one has taken.
    """

    stage: Stage
    folder: Path
    state: State
    seconds: float = 0.0


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
    """What a run would do. Writes nothing, takes no lock, and reads manifests but not the files
    they list.

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
                f"Stage {stage.label!r} comes before one of its inputs; order stages with"
                " with_inputs()."
            )
        seen.add(stage.key)
        folder = stage.folder(workdir)
        state: State = "resume" if stage.partial(workdir).exists() else "run"
        seconds = 0.0
        if folder.exists():
            seconds = artifacts.read_manifest(folder)["seconds"]
            state = "done"
        steps.append(PlanStep(stage, folder, state, seconds))
    return steps


def plan_lines(steps: Sequence[PlanStep]) -> list[str]:
    """The plan for people, one line a stage and what all of it may cost, for `--dry_run`."""
    lines = [
        f"[{number}/{len(steps)}] {step.stage.title} ({step.stage.key[:12]}):"
        f" {_PLAN_WORDS[step.state]}"
        + (
            f", {duration(step.stage.cost)}"
            if step.state != "done" and step.stage.cost >= 1
            else ""
        )
        for number, step in enumerate(steps, 1)
    ]
    total = sum(step.stage.cost for step in steps if step.state != "done")
    return [*lines, f"To run, {duration(total)} on two CPU cores."] if total >= 1 else lines
