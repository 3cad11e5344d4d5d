"""The execution of a plan, with skip and resume."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.progress import titled
from madvae_tf.utils.signals import raise_if_received
from pipeline.engine import artifacts
from pipeline.engine.clock import StageClock
from pipeline.engine.disk import check_workdir, disk_errors, lock_workdir
from pipeline.engine.display import Display
from pipeline.engine.plan import Context, PlanStep, Stage, plan
from pipeline.engine.publish import check_destination, publish_copy, show_board


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


def run_stages(
    stages: Sequence[Stage],
    workdir: Path | str,
    jobs: int = 1,
    started: Callable[[str], object] | None = None,
) -> RunSummary:
    """Makes every artifact that is missing and publishes those that have a fixed place.

    Everything that is reused is checked, and every fixed place looked at, before the first stage
    runs.

    Args:
        stages: inputs before what reads them, as `with_inputs` returns them.
        workdir: created if it is not there; held by this process until the end.
        jobs: how many stages may run at a time (`crew`). With 1 they run in this process, one after
            the other. The artifacts are the same; of their seconds, those of stages that ran side
            by side overlap.
        started: told the title of each stage that is about to run.

    Raises:
        UserError: the workdir is unusable or in use, an artifact is damaged, the disk is full or
            refuses, a fixed place holds somebody else's files, or a stage raised one. What is done
            so far stays.
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
        display = Display(steps, jobs)

        def begin(step: PlanStep) -> None:
            display.begin(step)
            show_board(workdir, step.stage, step.stage.partial(workdir))
            if started is not None:
                started(step.stage.title)

        def end(step: PlanStep, ran: bool) -> None:
            stage = step.stage
            if ran:
                executed.append(stage.label)
            with disk_errors(f"Stage {stage.title}", stage.partial(workdir)):
                seconds[stage.label] = artifacts.read_manifest(step.folder)["seconds"]
                if step.state != "done":
                    display.end(stage, seconds[stage.label], ran)
                show_board(workdir, stage, step.folder)
                if stage.publish_to:
                    publish_copy(step.folder, workdir / stage.publish_to)

        if jobs > 1 and sum(step.state != "done" for step in steps) > 1:
            from pipeline.engine.crew import run_side_by_side

            run_side_by_side(steps, workdir, jobs, lock, begin, end, display.moved)
        else:
            for step in steps:
                raise_if_received()
                ran = False
                if step.state != "done":
                    begin(step)
                    with (
                        titled(step.stage.title),
                        disk_errors(f"Stage {step.stage.title}", step.stage.partial(workdir)),
                    ):
                        ran = execute(step.stage, workdir)
                end(step, ran)
    return RunSummary(steps, executed, seconds)


def execute(stage: Stage, workdir: Path) -> bool:
    """Runs one stage to its finished artifact; False if an earlier attempt lacked only the rename."""  # noqa: E501
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
