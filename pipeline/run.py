"""`python -m pipeline.run --stage=all --config=configs/quick.py`: flags in, stages run."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from madvae_tf.config import Config
from madvae_tf.config.overrides import load_config, override
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError, unknown_name
from madvae_tf.utils.progress import duration
from pipeline.engine.crash_reporter import crash_reporter
from pipeline.engine.plan import Stage, plan, plan_lines, with_inputs
from pipeline.engine.runner import run_stages
from pipeline.graph.stages import STAGES, build_stages
from pipeline.steps import engines
from pipeline.steps.common import read_json

FLAGS = flags.FLAGS
_CONFIG = flags.DEFINE_string(
    "config", "configs/quick.py", "Python file with get_config() -> Config."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/quick", "Folder of all artifacts, the report and the exports."
)
_SET = flags.DEFINE_multi_string(
    "set", [], "Overrides one field: --set=vae.epochs=2; may be repeated."
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    "",
    "A .keras file or a SavedModel of your own in the place of Table 6; as"
    " --set=classifier.path=...",
)
_PROFILE = flags.DEFINE_bool(
    "profile",
    False,
    "Profile one step of each training that runs, into <workdir>/profile, for TensorBoard.",
)
# The stages with a training loop.
_TRAININGS = ("classifier", "vae", "tune", "baseline", "reference", "substitute", "black_box")
_ENGINE = flags.DEFINE_string(
    "engine", "local", "What makes adversarial sets: local, or beam (the extra of that name)."
)
_RUNNER = flags.DEFINE_string(
    "runner", "DirectRunner", "Beam's runner: DirectRunner, FlinkRunner, SparkRunner, ..."
)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes of Beam's DirectRunner.")
_BEAM = flags.DEFINE_multi_string(
    "beam", [], "A further option of Beam's: --beam=flink_master=host:8081; may be repeated."
)
_STORE = flags.DEFINE_string(
    "store",
    "",
    "Where Beam's workers leave shards if they do not see the workdir: gs://bucket/folder, ...",
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    1,
    "Stages at a time, each in a process of its own; the artifacts are the same.",
    lower_bound=1,
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what would run, and run nothing.")


def main(argv: Sequence[str], target: str = "", overrides: Sequence[str] = ()) -> None:
    """Runs the stage `target`, or the one that --stage names, and all that it needs.

    Args:
        argv: the program's name; anything more is refused.
        overrides: assignments like those of --set, applied after them.
    """
    FLAGS.workdir = str(Path(FLAGS.workdir).expanduser())
    if len(argv) > 1:
        raise UserError(
            f"Unknown argument {argv[1]!r}. Expected flags only, like --stage=all; see --help."
        )
    own = [f"classifier.path={_CLASSIFIER.value}"] if _CLASSIFIER.value else []
    config = override(load_config(_CONFIG.value), [*_SET.value, *own, *overrides])
    if _JOBS.value > 1 and (
        _ENGINE.value != "local" or _PROFILE.value or "TF_CONFIG" in os.environ
    ):
        raise UserError(
            f"Invalid --jobs={_JOBS.value} with --engine={_ENGINE.value}, --profile or TF_CONFIG,"
            " which need all stages in one process; use --jobs=1."
        )
    engine = engines.named(_ENGINE.value, _RUNNER.value, _WORKERS.value, _BEAM.value, _STORE.value)
    wanted = wanted_stages(config, target or FLAGS.stage, command_line())
    if not wanted:
        logging.warning(
            "Nothing to do for --stage=%s: this configuration asks for none of it;"
            " docs/pipeline/index.md says which settings do.",
            target or FLAGS.stage,
        )
    if _DRY_RUN.value:
        sys.stdout.write("\n".join(plan_lines(plan(wanted, _WORKDIR.value))) + "\n")
        return
    from madvae_tf.utils import backend  # noqa: F401  # refuses another backend of Keras

    if "TF_CONFIG" in os.environ:  # The workers find each other before any of them uses TensorFlow.
        from madvae_tf.training.cluster import join

        join()
    if _PROFILE.value:
        profile_trainings(Path(_WORKDIR.value) / "profile", wanted)
    began = time.monotonic()
    with crash_reporter() as started, engines.using(engine):
        summary = run_stages(wanted, _WORKDIR.value, _JOBS.value, started)
    done = f"{len(summary.executed)} of {len(summary.steps)} stages executed"
    took = duration(time.monotonic() - began)
    logging.info("%s in %s; results in %s.", done, took, _WORKDIR.value)
    if any(step.stage.stage == "report" for step in summary.steps):
        print_result(_WORKDIR.value)


def print_result(workdir: str) -> None:
    """The result of the report in `workdir`, its page and the next command, on standard output."""
    from madvae_tf.report import opening

    results = read_json(Path(workdir) / "report" / "results.json")
    exported = (Path(workdir) / "export").is_dir()
    sys.stdout.write("\n".join(["", *opening.last_lines(results, workdir, exported)]) + "\n")


def profile_trainings(folder: Path, wanted: Sequence[Stage]) -> None:
    """Asks every training for a profile. A run without one says so: artifacts that are there are
    not trained again.
    """
    steps = plan(wanted, _WORKDIR.value)
    if not any(step.stage.stage in _TRAININGS and step.state != "done" for step in steps):
        logging.warning(
            "Nothing is left to train, so --profile has nothing to profile; choose another"
            " --workdir."
        )
        return
    from madvae_tf.training import profiling

    profiling.request(folder)


def wanted_stages(config: Config, target: str, command: str) -> list[Stage]:
    """The stages to look at, inputs first. Raises `UserError` for an unknown stage."""
    graph = build_stages(config, command)
    if target != "all" and target not in STAGES:
        raise unknown_name("stage", target, ("all", *STAGES))
    return with_inputs(stage for kind in STAGES if target in ("all", kind) for stage in graph[kind])


def command_line() -> str:
    """What reproduces this configuration; the workdir and the stage, which change no figure, are
    left out.
    """
    return shlex.join(
        [
            "python",
            "-m",
            "pipeline.run",
            "--stage=all",
            f"--config={_CONFIG.value}",
            *(f"--set={s}" for s in _SET.value),
            *([f"--classifier={_CLASSIFIER.value}"] if _CLASSIFIER.value else []),
        ]
    )


def define_stage() -> None:
    """The flag of this command alone; `madvae_tf.train` has --loss in its place."""
    flags.DEFINE_string(
        "stage", "all", f"all, or one of: {', '.join(STAGES)}; what it needs is made first."
    )


def run(main_function=main, document: str = "") -> None:
    """Entry point: a `UserError` becomes one line on standard error and exit status 2.

    Args:
        document: what --help says before the flags, where the program is a script that pip wrote.
    """
    shown = [flag.name for flag in FLAGS.get_flags_for_module(sys.modules[__name__])]
    console.run(
        main_function,
        document or sys.modules["__main__"].__doc__ or "",
        [*shown, *(name for name in ("loss",) if name in FLAGS)],
        "interrupted; the same command goes on from what is done.",
    )


if __name__ == "__main__":
    define_stage()
    run()
