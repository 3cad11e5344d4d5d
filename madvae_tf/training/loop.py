"""The training loop: one loop on `strategy.run` for one device and for many, with exact resume.

`fit` cannot serve every strategy, and it cannot start in the middle of an epoch; this loop drives the same
`train_step` and the same Keras callbacks.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

Logs = dict[str, float]


def default_strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over the accelerators (or logical CPUs) when more than one is visible, else one device."""
    for kind in ("GPU", "CPU"):
        devices = tf.config.list_logical_devices(kind)
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy([device.name for device in devices])
        if devices:
            break
    return tf.distribute.get_strategy()


def train(
    trainer: keras.Model,
    dataset: Callable[[int], tf.data.Dataset],
    steps_per_epoch: int,
    epochs: int,
    strategy: tf.distribute.Strategy,
    checkpoint_folder: Path,
    checkpoint_steps: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    validation: Callable[[], Logs] | None = None,
) -> int:
    """Trains to `steps_per_epoch * epochs` steps, from the newest checkpoint in `checkpoint_folder` if there is one.

    Args:
        trainer: built, with its optimizer, under `strategy.scope()`; `train_step` returns each replica's share of
            every logged value, so that their sum is the value.
        dataset: step -> batches of the global size from that step on.
        checkpoint_steps: a checkpoint is written every so many steps, and at the end.
        callbacks: told of steps (`on_train_batch_end(step, logs)`, step counted from 0) and of epochs. On resume
            `on_train_begin` gets {"step": the step to start from}.
        validation: called at the end of each epoch; its values reach `on_epoch_end` as `val_*`.

    Returns:
        The step it started from (0 unless resumed).
    """
    total = steps_per_epoch * epochs
    trainer.optimizer.build(trainer.trainable_variables)
    checkpoint = tf.train.Checkpoint(trainer=trainer, optimizer=trainer.optimizer)
    manager = tf.train.CheckpointManager(checkpoint, str(checkpoint_folder), max_to_keep=2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    start = int(trainer.optimizer.iterations.numpy())
    if start:
        logging.info("Resuming at step %d of %d.", start, total)

    replicated_step = compiled_step(trainer, strategy)
    watchers = keras.callbacks.CallbackList(list(callbacks), model=trainer)
    watchers.set_params({"steps": steps_per_epoch, "epochs": epochs, "verbose": 0})
    watchers.on_train_begin({"step": start})
    batches = iter(strategy.experimental_distribute_dataset(dataset(start))) if start < total else iter(())
    for step in range(start, total):
        logs = {name: float(value) for name, value in replicated_step(next(batches)).items()}
        watchers.on_train_batch_end(step, logs)
        done = step + 1
        if done % steps_per_epoch == 0:
            values = validation() if validation is not None else {}
            watchers.on_epoch_end(
                step // steps_per_epoch, logs | {f"val_{name}": v for name, v in values.items()}
            )
        if done % checkpoint_steps == 0 or done == total:
            manager.save(checkpoint_number=done)
    watchers.on_train_end()
    return start


def compiled_step(
    trainer: keras.Model, strategy: tf.distribute.Strategy
) -> Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """One training step on every replica of `strategy`: a batch of the global size -> the logged values, summed over replicas."""

    @tf.function
    def step(batch):
        values = strategy.run(trainer.train_step, args=(batch,))
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in values.items()}

    return step


def evaluate_steps(trainer: keras.Model, dataset: tf.data.Dataset) -> Logs:
    """Means of `trainer.test_step` over the images of `dataset`, on one device."""
    step = tf.function(trainer.test_step, reduce_retracing=True)
    sums: Logs = {}
    images = 0
    for batch in dataset:
        size = int(batch["label"].shape[0])
        images += size
        for name, value in step(batch).items():
            sums[name] = sums.get(name, 0.0) + float(value) * size
    return {name: value / images for name, value in sums.items()}
