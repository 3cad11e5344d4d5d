"""What an evaluation will cost, from the measured speed of the very model, and the bar that counts
it attack by attack.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import Attack, DefendedModel
from madvae_tf.attacks.base import predict
from madvae_tf.attacks.objectives import ascent
from madvae_tf.attacks.repeated import runs_of
from madvae_tf.evaluation.suites import QUERY_ATTACKS, Suite, Trial
from madvae_tf.evaluation.trials import padded
from madvae_tf.utils.progress import duration, progress_bar, say

_FORMAT = "{desc}{percentage:3.0f}%|{bar:20}| {elapsed} so far, {remaining} left{postfix}"
# Measured twice where a batch takes no longer than this, in seconds; the faster one counts.
_WORTH_REPEATING = 1.0


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds for a batch of a model: its logits alone, and with the gradient of a loss."""

    value: float
    gradient: float


# Without a measurement every gradient counts as three times its logits, and nothing is said of
# seconds.
UNKNOWN = Speed(1.0, 3.0)


def measured(
    target: DefendedModel, images: np.ndarray, labels: np.ndarray, batch_size: int, follow: bool
) -> Speed:
    """The speed of what is attacked, on one batch of its images, compiled before.

    Args:
        follow: whether its gradient is asked for; a system without one is not asked.
    """

    @tf.function
    def gradient(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return ascent(target.logits, "margin", x, y, y)[1]

    rows = np.arange(batch_size) % len(images)
    x, y = tf.constant(images[rows]), tf.constant(labels[rows])
    value = _seconds(lambda: predict(target.logits, x))
    return Speed(value, _seconds(lambda: gradient(x, y)) if follow else value)


def _seconds(call: Any) -> float:
    call().numpy()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        call().numpy()
        times.append(time.perf_counter() - start)
        if times[0] > _WORTH_REPEATING:
            break
    return min(times)


def passes(attack: Attack) -> tuple[int, int]:
    """How many gradients and how many logits alone a run of the attack takes for an image that does
    not fall.
    """
    whole: Any = getattr(attack, "whole", attack)
    if whole.name in QUERY_ATTACKS:
        return 0, getattr(whole, "queries", 1)
    if whole.name == "cw":
        return whole.max_iterations * whole.binary_search_steps, 0
    steps = getattr(whole, "iterations", 1)
    return steps, steps if whole.name == "fab_t" else 0


class Course:
    """The way through all trials: what is still to be done at most, as if no further image fell,
    and the bar that shows it.

    The bar's unit is the estimated second, so that its rate is how much faster or slower than
    estimated it goes, and the time left follows. What a file has of an earlier call, and what
    falls, is work that never comes.

    Args:
        suites: in order.
        speeds: gradient of `Trial` -> speed.
        clean: bool (n,), right without an attack.
        batch_size: images at a time.
        announced: whether a line says what is to be done, before the first attack.
    """

    def __init__(
        self,
        suites: Sequence[Suite],
        speeds: Mapping[str, Speed],
        clean: np.ndarray,
        batch_size: int,
        announced: bool = False,
    ) -> None:
        self._trials = [(suite, trial) for suite in suites for trial in suite.trials]
        self._runs = [len(runs_of(trial.attack)) for _, trial in self._trials]
        self._seconds = [
            _of(trial, speeds[trial.gradient]) / batch_size for _, trial in self._trials
        ]
        self._n, self._robust = len(clean), int(clean.sum())
        self._announced, self._batch_size = announced, batch_size
        self._number = 0
        self._bar: Any = None

    def __enter__(self) -> "Course":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self, number: int) -> None:
        """The trial of this number, from 0, begins."""
        self._number = number

    def advance(self, run: int, waiting: int, robust: int, done: int) -> None:
        """Of the trial that goes on: its run's number, how many images wait in it, how many are
        right, and were attacked just now.
        """
        further = (self._runs[self._number] - run - 1) * self._cost(self._number, robust)
        remaining = self._cost(self._number, waiting) + further + self._later(self._number, robust)
        if self._bar is None:
            if not waiting:
                return
            self._begin_bar(remaining)
        _, trial = self._trials[self._number]
        moved = self._cost(self._number, done)
        self._bar.total = self._bar.n + moved + remaining
        self._bar.set_description(
            f"attack {self._number + 1} of {len(self._trials)}, {trial.label}", refresh=False
        )
        self._bar.set_postfix_str(f"{robust} of {self._robust} images still right", refresh=False)
        self._bar.update(moved)

    def _begin_bar(self, remaining: float) -> None:
        if self._announced:
            names = ", ".join(trial.label for _, trial in self._trials[self._number :])
            say(
                f"evaluate: {self._n} images, {self._robust} right without an attack; to run:"
                f" {names}; at most {duration(remaining)} on this machine at the model's measured"
                " speed, if no image falls, and the time to compile."
            )
        self._bar = progress_bar(remaining, "", "s", bar_format=_FORMAT)

    def _cost(self, number: int, count: int) -> float:
        """Seconds of one run of a trial for some images; what a batch is filled up with costs the
        same.
        """
        whole, rest = divmod(count, self._batch_size)
        size = whole * self._batch_size + (padded(rest, self._batch_size) if rest else 0)
        return size * self._seconds[number]

    def _later(self, number: int, robust: int) -> float:
        """Of the trials after this one; in a sequence they meet what is `robust` now."""
        suite = self._trials[number][0]
        return sum(
            self._runs[n]
            * self._cost(n, robust if other is suite and suite.sequential else self._robust)
            for n, (other, _) in enumerate(self._trials)
            if n > number
        )


def _of(trial: Trial, speed: Speed) -> float:
    """Seconds of one run of a trial for a batch."""
    gradients, values = passes(trial.attack)
    return gradients * speed.gradient + values * speed.value
