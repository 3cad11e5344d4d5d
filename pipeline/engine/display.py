"""What a run says of itself: a line for each stage that begins, in that order, with the time to the
end; bars beneath them on a terminal.
"""

import time
from typing import Any

from absl import logging

from madvae_tf.utils.progress import Moved, duration, progress_bar, titled
from pipeline.engine.plan import PlanStep, Stage
from pipeline.engine.speed import Speed


class Display:
    """Of one run.

    Args:
        steps: the plan.
        jobs: how many stages run at a time.
    """

    def __init__(self, steps: list[PlanStep], jobs: int) -> None:
        self._speed = Speed(jobs, steps)
        self._total = len(steps)
        self._waiting = [step.stage for step in steps if step.state != "done"]
        self._running: dict[str, tuple[Stage, float]] = {}
        # Of helper processes: a stage's bar, and which of its bars that is.
        self._bars: dict[str, Any] = {}
        self._drawn: dict[str, int] = {}
        done, left = self._total - len(self._waiting), len(self._waiting)
        if not left:
            logging.info("All %d stages are done already.", self._total)
        else:
            before = f"{done} of {self._total} stages are done already, " if done else ""
            words = duration(self._speed.left(self._waiting, []))
            logging.info("%s%d to run, %s in all.", before, left, words)

    def begin(self, step: PlanStep) -> None:
        """A stage begins: it is the next in number."""
        stage = step.stage
        self._waiting.remove(stage)
        self._running[stage.key] = (stage, time.monotonic())
        now = [(each, time.monotonic() - began) for each, began in self._running.values()]
        logging.info(
            "stage %d of %d: %s%s, %s; %s to the end",
            self._total - len(self._waiting),
            self._total,
            stage.title,
            ", resumed" if step.state == "resume" else "",
            duration(self._speed.seconds(stage)),
            duration(self._speed.left(self._waiting, now)),
        )

    def moved(self, stage: Stage, place: Moved) -> None:
        """A bar of a helper process that runs the stage has moved."""
        if place.number != self._drawn.get(stage.key):
            self._close(stage)
            own = (place.total, place.title, place.unit, place.done, place.bar_format)
            with titled(place.title):
                self._bars[stage.key] = progress_bar(*own)
            self._drawn[stage.key] = place.number
        self._bars[stage.key].follow(place)

    def end(self, stage: Stage, seconds: float, ran: bool) -> None:
        """A stage has ended.

        Args:
            seconds: what it has taken over all its attempts.
            ran: whether its function ran, to its end and from its beginning.
        """
        self._running.pop(stage.key)
        self._close(stage)
        if ran:
            self._speed.measured(stage, seconds)

    def _close(self, stage: Stage) -> None:
        self._drawn.pop(stage.key, None)
        if (bar := self._bars.pop(stage.key, None)) is not None:
            bar.close()
