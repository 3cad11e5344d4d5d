"""`python -m pipeline.run --stage=all --config=configs/quick.py`: flags in, stages run."""

import shlex
import sys
from collections.abc import Sequence

from absl import app, flags, logging

from madvae_tf.config import Config, load_config, override
from madvae_tf.errors import UserError, unknown_name
from pipeline.runner import Stage, plan, plan_lines, run_stages, with_inputs
from pipeline.stages import STAGES, build_stages

FLAGS = flags.FLAGS
_CONFIG = flags.DEFINE_string("config", "configs/quick.py", "Python file with get_config() -> Config.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/quick", "Folder of all artifacts, the report and the exports.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides one field: --set=vae.epochs=2; may be repeated.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what would run, and run nothing.")


def main(argv: Sequence[str], targets: Sequence[str] = (), instance: str = "") -> None:
    """Runs the stages named by `targets`, or by --stage, and all that they need."""
    if len(argv) > 1:
        raise UserError(f"Unknown argument {argv[1]!r}. Expected flags only, like --stage=all; see --help.")
    config = override(load_config(_CONFIG.value), _SET.value)
    wanted = wanted_stages(config, targets or [FLAGS.stage], instance, command_line())
    if _DRY_RUN.value:
        sys.stdout.write("\n".join(plan_lines(plan(wanted, _WORKDIR.value))) + "\n")
        return
    summary = run_stages(wanted, _WORKDIR.value)
    done = f"{len(summary.executed)} of {len(summary.steps)} stages executed"
    logging.info("%s; results in %s.", done, _WORKDIR.value)


def wanted_stages(config: Config, targets: Sequence[str], instance: str, command: str) -> list[Stage]:
    """The stages to look at, inputs first. Raises `UserError` for an unknown stage or instance."""
    graph = build_stages(config, command)
    stages: list[Stage] = []
    for target in targets:
        if target != "all" and target not in STAGES:
            raise unknown_name("stage", target, ("all", *STAGES))
        for kind in STAGES if target == "all" else (target,):
            stages += [stage for stage in graph[kind] if instance in ("", stage.instance)]
    if not stages:
        raise unknown_name("instance", instance, [stage.instance for kind in targets for stage in graph[kind]])
    return with_inputs(stages)


def command_line() -> str:
    """What reproduces this configuration; the workdir and the stage, which change no figure, are left out."""
    return shlex.join(
        ["python", "-m", "pipeline.run", "--stage=all", f"--config={_CONFIG.value}", *(f"--set={s}" for s in _SET.value)]
    )


def run(main_function=main) -> None:
    """Entry point: a `UserError` becomes one line on standard error and exit status 2."""
    logging.set_verbosity(logging.INFO)
    logging.set_stderrthreshold("info")

    def guarded(argv: Sequence[str]) -> None:
        try:
            main_function(argv)
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(2)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; the same command goes on from what is done.\n")
            sys.exit(130)

    app.run(guarded)


if __name__ == "__main__":
    flags.DEFINE_string("stage", "all", f"all, or one of: {', '.join(STAGES)}; what it needs is made first.")
    run()
