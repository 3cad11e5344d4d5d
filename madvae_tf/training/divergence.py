"""A training that diverged: found within a few steps, told in one line, and never saved."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.models.finite import all_finite
from madvae_tf.utils.errors import UserError

# Logged values are read together, so that an accelerator need not wait for the host after every
# step.
READ_STEPS = 20


class Diverged(UserError):
    """A loss or a weight became NaN or infinite."""


def diverged(step: int, total: int, what: str, rate: Any) -> Diverged:
    """The error for a training whose `what` is not finite at `step`, counted from 0.

    Args:
        rate: the learning rate there.
    """
    return Diverged(
        f"Training diverged at step {step + 1} of {total}: {what} at learning rate"
        f" {float(rate):.3g}; nothing is saved; choose a smaller learning_rate and train again."
    )


class FiniteCheck:
    """Holds the values and weights of one training finite.

    Args:
        trainer: with its optimizer.
        total: steps of the training.
    """

    def __init__(self, trainer: keras.Model, total: int):
        self._trainer, self._total = trainer, total
        self._waiting: list[tuple[int, Mapping[str, Any]]] = []

    def note(self, step: int, logs: Mapping[str, Any]) -> None:
        """Takes the values of a step, scalars; every few steps they are read, as by `read`."""
        self._waiting.append((step, logs))
        if len(self._waiting) >= READ_STEPS:
            self.read()

    def read(self) -> None:
        """Raises `Diverged` for the first noted step with a value that is not finite."""
        waiting, self._waiting = self._waiting, []
        for step, logs in waiting:
            self.values(step, logs)

    def values(self, step: int, logs: Mapping[str, Any]) -> None:
        """Raises `Diverged` where one of the values is not finite; the loss is named first."""
        for name in sorted(logs, key=lambda name: (name != "loss", name)):
            if not math.isfinite(value := float(logs[name])):
                raise self._error(step, f"{name} is {value}")

    def weights(self, step: int) -> None:
        """Raises `Diverged` where a weight of the trainer is not finite after `step`."""
        if not all_finite(self._trainer.weights):
            raise self._error(step, "a weight is NaN or infinite")

    def _error(self, step: int, what: str) -> Diverged:
        return diverged(
            step, self._total, what, tf.convert_to_tensor(self._trainer.optimizer.learning_rate)
        )
