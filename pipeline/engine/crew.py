"""Stages side by side: which may start, and which of them first.

A stage may start when its inputs are finished. Of those that may, the one with the most work behind
it goes first: its own cost and that of the longest chain of stages that wait for it. What a stage
makes does not depend on what runs beside it.
"""

import contextlib
import selectors
from collections.abc import Callable, Sequence
from pathlib import Path

from madvae_tf.utils.progress import Moved, write_line
from pipeline.engine.helpers import Answer, Helper
from pipeline.engine.plan import PlanStep, Stage


def chains(steps: Sequence[PlanStep]) -> dict[str, float]:
    """Key -> seconds from a stage's start to the end of the longest chain that begins with it;
    reused stages cost nothing.
    """
    longest: dict[str, float] = {}
    for step in reversed(steps):  # readers first
        own = 0.0 if step.state == "done" else max(step.stage.cost, 0.1)
        after = [
            longest[each.stage.key]
            for each in steps
            if step.stage.key in {upstream.key for upstream in each.stage.inputs.values()}
        ]
        longest[step.stage.key] = own + max(after, default=0.0)
    return longest


def run_side_by_side(
    steps: Sequence[PlanStep],
    workdir: Path,
    jobs: int,
    lock: int,
    begin: Callable[[PlanStep], None],
    end: Callable[[PlanStep, bool], None],
    moved: Callable[[Stage, Moved], None],
) -> None:
    """Executes the steps that are not done, at most `jobs` at a time.

    Args:
        steps: inputs before what reads them.
        lock: the descriptor of the workdir's lock.
        begin: called before a step starts.
        end: called in this process when it has finished, with whether its function ran; for a
            reused one at once.
        moved: called in this process when a bar of a stage has moved.

    Raises:
        UserError, RuntimeError: of the first stage that failed; those that run beside it are
            stopped and go on in another run.
    """
    longest = chains(steps)
    finished: set[str] = set()
    waiting: list[PlanStep] = []
    for step in steps:
        if step.state == "done":
            end(step, False)
            finished.add(step.stage.key)
        else:
            waiting.append(step)
    waiting.sort(key=lambda step: -longest[step.stage.key])
    idle: list[Helper] = []
    busy: dict[Helper, PlanStep] = {}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        while waiting or busy:
            for step in list(waiting):
                if len(busy) == jobs:
                    break
                if all(upstream.key in finished for upstream in step.stage.inputs.values()):
                    waiting.remove(step)
                    if not idle:
                        made = Helper(lock)
                        stack.callback(made.stop)
                        selector.register(made, selectors.EVENT_READ)
                        idle.append(made)
                    helper = idle.pop()
                    begin(step)
                    helper.start(step.stage, workdir)
                    busy[helper] = step
            for key, _ in selector.select():
                helper = key.fileobj
                assert isinstance(helper, Helper)
                step = busy[helper]
                told = helper.receive(step.stage.title)
                if isinstance(told, Moved):
                    moved(step.stage, told)
                elif isinstance(told, Answer):
                    del busy[helper]
                    end(step, told.ran)
                    finished.add(step.stage.key)
                    idle.append(helper)
                else:
                    write_line(told)
