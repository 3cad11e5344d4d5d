"""What watches a training run: progress with an ETA, a CSV of every loss term, TensorBoard, an
average of the weights.
"""

import csv
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.utils.files import written
from madvae_tf.utils.progress import progress_bar

_READ_SECONDS = 0.5


class Progress(keras.callbacks.Callback):
    """A progress bar over all steps, with the loss and an ETA."""

    def __init__(self, description: str, total: int):
        super().__init__()
        self.description, self.total = description, total

    def on_train_begin(self, logs=None):
        start = (logs or {}).get("step", 0)
        self.bar = progress_bar(self.total, self.description, "step", done=start)
        self.read = 0.0

    def on_train_batch_end(self, batch, logs=None):
        # To read a loss waits for its step: no oftener than anybody looks.
        if time.monotonic() - self.read >= _READ_SECONDS:
            self.bar.set_postfix(loss=f"{float((logs or {}).get('loss', 0.0)):.4f}", refresh=False)
            self.read = time.monotonic()
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()


class MeanLog(keras.callbacks.Callback):
    """Means of every logged value over `log_steps` steps, to `log.csv` and to TensorBoard scalars.

    A row is appended when it is known. On resume the rows past the checkpoint are dropped, and with
    them one that a kill cut short, so the file ends as an unbroken run's, provided that `log_steps`
    divides the steps between checkpoints.
    """

    def __init__(self, folder: Path, log_steps: int):
        super().__init__()
        self.path = folder / "log.csv"
        self.log_steps = log_steps
        self.writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
        self.window: list[Mapping[str, Any]] = []
        self.names: list[str] = []
        # The last row, and where it begins in the file: validation joins the row of its step.
        self.last: dict[str, str] = {}
        self.place = 0

    def on_train_begin(self, logs=None):
        start = (logs or {}).get("step", 0)
        self.names = []
        self._rewrite([row for row in self._kept() if int(row["step"]) <= start])

    def on_train_batch_end(self, batch, logs=None):
        self.window.append(logs or {})
        if (batch + 1) % self.log_steps and batch + 1 != self.params["steps"] * self.params[
            "epochs"
        ]:
            return
        means = {
            name: float(np.mean([float(entry[name]) for entry in self.window]))
            for name in self.window[0]
        }
        means["learning_rate"] = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
        self.window = []
        self._write(batch + 1, means)

    def on_epoch_end(self, epoch, logs=None):
        values = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
        if values:
            self._write((epoch + 1) * self.params["steps"], values)

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        with self.writer.as_default():
            for name, value in values.items():
                group = "validation" if name.startswith("val_") else "train"
                tf.summary.scalar(f"{group}/{name.removeprefix('val_')}", value, step=step)
        self.writer.flush()
        row = {"step": str(step), **{name: f"{value:.8g}" for name, value in values.items()}}
        joins = self.last.get("step") == row["step"]
        if joins:
            row = self.last | row
        if not row.keys() <= set(self.names):
            kept = self._kept()
            self._rewrite([*(kept[:-1] if joins else kept), row])
            return
        with self.path.open("r+", newline="") as file:
            self.place = self.place if joins else file.seek(0, os.SEEK_END)
            file.seek(self.place)
            file.truncate()
            csv.DictWriter(file, self.names, restval="").writerow(row)
        self.last = row

    def _kept(self) -> list[dict[str, str]]:
        """The file's rows, without one that a kill cut short."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            lines = [line for line in file.readlines() if line.endswith("\n")]
        return list(csv.DictReader(lines))

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        """The whole file, with the columns of all rows: where it is new, cut short or gets a
        column.
        """
        if not rows:
            self.path.unlink(missing_ok=True)
            self.last = {}
            return
        self.names = list(dict.fromkeys(name for row in rows for name in row))
        # Whole or not there: what a killed run has logged must outlive it.
        with written(self.path) as partial, partial.open("w", newline="") as file:
            table = csv.DictWriter(file, self.names, restval="")
            table.writeheader()
            table.writerows(rows[:-1])
            self.place = file.tell()
            table.writerow(rows[-1])
        self.last = rows[-1]


class PurifierPictures(keras.callbacks.Callback):
    """To TensorBoard: clean, adversarial and purified images side by side, and the norms of the
    class centres.

    Args:
        folder: the run's folder.
        pairs: {"x_adv", "x"} of a few validation images, float32 (k, height, width, channels); a
            function, where they change with the model.
        every: steps between pictures.
    """

    def __init__(
        self,
        folder: Path,
        pairs: Mapping[str, np.ndarray] | Callable[[], Mapping[str, np.ndarray]],
        every: int,
    ):
        super().__init__()
        self.pairs, self.every = pairs, every
        self.writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def on_train_batch_end(self, batch, logs=None):
        step = batch + 1
        if step != 1 and step % self.every and step != self.params["steps"] * self.params["epochs"]:
            return
        pairs = self.pairs() if callable(self.pairs) else self.pairs
        purified = self.model.purifier(tf.convert_to_tensor(pairs["x_adv"])).numpy()
        with self.writer.as_default():
            columns = np.concatenate([pairs["x"], pairs["x_adv"], purified], axis=1)
            row = np.concatenate(list(columns), axis=1)
            tf.summary.image("clean, adversarial, purified", row[None], step=step)
            norms = self.model.center_norms()
            if norms is not None:
                tf.summary.histogram("centers/norm", norms, step=step)
                for label, norm in enumerate(norms.numpy()):
                    tf.summary.scalar(f"centers/norm_{label}", float(norm), step=step)
        self.writer.flush()


class AverageWeights(keras.callbacks.Callback):
    """After every step: average <- average + (1 - d) (weights - average).

    d is `decay`, less in the first steps, (1 + t) / (10 + t), so that the initial weights are soon
    forgotten. A weight that stands still is its own average, exactly. It runs outside the replicas:
    there a mirrored variable is one.

    Args:
        average, trained: models of the same weights; no average, nothing to do.
    """

    def __init__(self, average: keras.Model | None, trained: keras.Model, decay: float):
        super().__init__()
        self.average, self.trained, self.decay = average, trained, decay

    def on_train_batch_end(self, batch, logs=None):
        if self.average is not None:
            self._assign(tf.constant(max(1 - self.decay, 9 / (10 + batch)), tf.float32))

    # In one call: the weights are many, and this comes after every step.
    @tf.function
    def _assign(self, step: tf.Tensor) -> None:
        for mean, now in zip(self.average.weights, self.trained.weights, strict=True):
            before = tf.convert_to_tensor(mean)
            mean.assign(before + step * (tf.convert_to_tensor(now) - before))
