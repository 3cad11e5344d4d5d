"""A profile of one training step, on request: where its time goes, for TensorBoard's profiler.

Not part of any artifact: it changes nothing that a training makes. TensorFlow writes it; to look at
it, TensorBoard needs the package tensorboard-plugin-profile.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

# Steps before the one that is profiled: the first ones trace and allocate.
_WARM_UP = 10
_requested: list[Path] = []


def request(folder: Path | None) -> None:
    """From now on every training of this process profiles one step into `folder`; None ends that."""  # noqa: E501
    _requested[:] = [] if folder is None else [folder]


def callbacks() -> "Sequence[StepProfile]":
    """What a training loop adds to its callbacks."""
    return [StepProfile(folder) for folder in _requested]


class StepProfile(keras.callbacks.Callback):
    """Profiles the eleventh step, or the last one of a shorter training, into
    `folder`/plugins/profile.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self._running = False
        self._done = False
        self._before = 0

    def on_train_begin(self, logs=None):
        first, last = (logs or {}).get("step", 0), self.params["steps"] * self.params["epochs"]
        # The step after which the profile begins, counted from 0; a training of one step has none
        # before it.
        self._before = min(first + _WARM_UP, last - 1) - 1

    def on_train_batch_end(self, batch, logs=None):
        if self._running:
            self._stop(batch)
        elif not self._done and batch >= self._before:
            options = tf.profiler.experimental.ProfilerOptions(
                host_tracer_level=2, python_tracer_level=0
            )
            tf.profiler.experimental.start(str(self.folder), options=options)
            self._running = True

    def on_train_end(self, logs=None):
        if self._running:
            self._stop(None)

    def _stop(self, step: int | None) -> None:
        tf.profiler.experimental.stop()
        self._running, self._done = False, True
        if step is not None:
            logging.info("Profile of step %d: tensorboard --logdir %s.", step + 1, self.folder)
