"""`python -m pipeline.run --stage=all --config=configs/quick.py`: flags in, stages run."""

import os
import shlex
import sys
from collections.abc import Sequence
from logging import WARNING, LogRecord
from pathlib import Path

from absl import app, flags, logging

from madvae_tf.config import Config
from madvae_tf.errors import UserError, as_one_line, unknown_name
from madvae_tf.overrides import load_config, override
from pipeline.runner import Stage, plan, plan_lines, run_stages, with_inputs
from pipeline.stages import STAGES, build_stages

# TensorFlow's own start-up messages; set before anything loads it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

FLAGS = flags.FLAGS
_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = flags.DEFINE_string("config", "configs/quick.py", "Python file with get_config() -> Config.")
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/quick", "Folder of all artifacts, the report and the exports."
)
_SET = flags.DEFINE_multi_string("set", [], "Overrides one field: --set=vae.epochs=2; may be repeated.")
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    "",
    "A .keras file or a SavedModel of your own in the place of Table 6; as --set=classifier.path=...",
)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Stages at a time, each in a process of its own; the artifacts are the same.", lower_bound=1
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what would run, and run nothing.")


def main(argv: Sequence[str], target: str = "", overrides: Sequence[str] = ()) -> None:
    """Runs the stage `target`, or the one that --stage names, and all that it needs.

    Args:
        argv: the program's name; anything more is refused.
        overrides: assignments like those of --set, applied after them.
    """
    if len(argv) > 1:
        raise UserError(f"Unknown argument {argv[1]!r}. Expected flags only, like --stage=all; see --help.")
    own = [f"classifier.path={_CLASSIFIER.value}"] if _CLASSIFIER.value else []
    config = override(load_config(_CONFIG.value), [*_SET.value, *own, *overrides])
    wanted = wanted_stages(config, target or FLAGS.stage, command_line())
    if _DRY_RUN.value:
        sys.stdout.write("\n".join(plan_lines(plan(wanted, _WORKDIR.value))) + "\n")
        return
    summary = run_stages(wanted, _WORKDIR.value, _JOBS.value)
    done = f"{len(summary.executed)} of {len(summary.steps)} stages executed"
    logging.info("%s; results in %s.", done, _WORKDIR.value)


def wanted_stages(config: Config, target: str, command: str) -> list[Stage]:
    """The stages to look at, inputs first. Raises `UserError` for an unknown stage."""
    graph = build_stages(config, command)
    if target != "all" and target not in STAGES:
        raise unknown_name("stage", target, ("all", *STAGES))
    return with_inputs(stage for kind in STAGES if target in ("all", kind) for stage in graph[kind])


def command_line() -> str:
    """What reproduces this configuration; the workdir and the stage, which change no figure, are left out."""
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


def _is_ours(record: LogRecord) -> bool:
    """Lets the project's own messages through, and of the libraries' what is at least a warning."""
    rooms = (_ROOT / "madvae_tf", _ROOT / "pipeline")
    return record.levelno >= WARNING or any(Path(record.pathname).is_relative_to(room) for room in rooms)


def set_up_logging() -> None:
    """The project's messages on standard error, in this process and in its helpers."""
    logging.set_verbosity(logging.INFO)
    logging.set_stderrthreshold("info")
    logging.get_absl_handler().addFilter(_is_ours)


def run(main_function=main) -> None:
    """Entry point: a `UserError` becomes one line on standard error and exit status 2."""
    set_up_logging()

    def guarded(argv: Sequence[str]) -> None:
        with as_one_line("interrupted; the same command goes on from what is done."):
            main_function(argv)

    app.run(guarded)


if __name__ == "__main__":
    flags.DEFINE_string("stage", "all", f"all, or one of: {', '.join(STAGES)}; what it needs is made first.")
    run()
