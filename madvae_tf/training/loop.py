"""The training loop: one loop on `strategy.run` for one device and for many, with exact resume.

`fit` cannot serve every strategy, and it cannot start in the middle of an epoch; this loop drives
the same `train_step` and the same Keras callbacks.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from madvae_tf.training import profiling
from madvae_tf.training.cluster import LOST, join, newest_common, share
from madvae_tf.training.divergence import FiniteCheck
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.signals import raise_if_received

Logs = dict[str, float]
# Where a trainer keeps its compiled `test_step`.
_TEST_STEP = "_compiled_test_step"


def default_strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over the accelerators (or logical CPUs) when more than one is visible, else
    one device.

    Where TF_CONFIG names several workers, the strategy over all of them (`cluster`).
    """
    if (joined := join()) is not None:
        return joined
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
    """Trains to `steps_per_epoch * epochs` steps, from the newest checkpoint in `checkpoint_folder`
    if there is one.

    Args:
        trainer: built, with its optimizer, under `strategy.scope()`; `train_step` returns each
            replica's share of every logged value, so that their sum is the value.
        dataset: step -> batches of the global size from that step on.
        checkpoint_steps: a checkpoint is written every so many steps, and at the end.
        callbacks: told of steps (`on_train_batch_end(step, logs)`, step counted from 0, logs
            float32 tensors: to read one waits for the step) and of epochs. On resume
            `on_train_begin` gets {"step": the step to start from}.
        validation: called at the end of each epoch; its values reach `on_epoch_end` as `val_*`.

    Returns:
        The step it started from (0 unless resumed).

    Raises:
        Diverged: a logged value or a weight is not finite; no such checkpoint is written.
        UserError: of several workers, one was lost.
    """
    check_process()
    total = steps_per_epoch * epochs
    trainer.optimizer.build(trainer.trainable_variables)
    checkpoint = tf.train.Checkpoint(trainer=trainer, optimizer=trainer.optimizer)
    manager = tf.train.CheckpointManager(checkpoint, str(checkpoint_folder), max_to_keep=2)
    together = join() is strategy
    restore_newest(checkpoint, manager, [*trainer.variables, *trainer.optimizer.variables])
    start = int(trainer.optimizer.iterations.numpy())
    if start:
        logging.info("Resuming at step %d of %d.", start, total)

    replicated_step = compiled_step(trainer, strategy)
    watchers = keras.callbacks.CallbackList([*callbacks, *profiling.callbacks()], model=trainer)
    watchers.set_params({"steps": steps_per_epoch, "epochs": epochs, "verbose": 0})
    watchers.on_train_begin({"step": start})
    distribute = (
        functools.partial(share, strategy) if together else strategy.experimental_distribute_dataset
    )
    batches = iter(distribute(dataset(start))) if start < total else iter(())
    check = FiniteCheck(trainer, total)
    for step in range(start, total):
        done = step + 1
        epoch_ends = done % steps_per_epoch == 0
        saves = done % checkpoint_steps == 0 or done == total
        with _lost_workers(step, total, together):
            logs = dict(sorted(replicated_step(next(batches)).items()))
            check.note(step, logs)
            if epoch_ends or saves:
                check.read()
                check.weights(step)
        # Not by the list of them, which would read every value at every step.
        for callback in watchers.callbacks:
            callback.on_train_batch_end(step, logs)
        if epoch_ends:
            values = {f"val_{name}": v for name, v in (validation() if validation else {}).items()}
            check.values(step, values)
            watchers.on_epoch_end(step // steps_per_epoch, logs | values)
        if saves:
            manager.save(checkpoint_number=done)
    watchers.on_train_end()
    return start


@contextlib.contextmanager
def _lost_workers(step: int, total: int, together: bool) -> Iterator[None]:
    """What the end of another worker raises within becomes one line, where there are several
    (`together`).
    """
    try:
        yield
    except LOST as error:
        if not together:
            raise
        raise UserError(
            f"Training stopped at step {step} of {total}: a worker was lost"
            f" ({type(error).__name__}); start all workers again: they go on from the last"
            " checkpoint."
        ) from error


def restore_newest(
    checkpoint: tf.train.Checkpoint,
    manager: tf.train.CheckpointManager,
    variables: Sequence[keras.Variable],
) -> None:
    """Restores the newest checkpoint that is whole; without one, `variables` keep the values that
    they have.

    Of several workers, the newest that all of them have.

    A damaged one is passed over with a warning: what was trained since the one before is trained
    again.
    """
    # A restore that fails half-way has assigned some of them.
    initial = [variable.numpy() for variable in variables] if manager.checkpoints else []
    paths = list(reversed(manager.checkpoints))
    if (joined := join()) is not None:
        common = newest_common(joined, int(paths[0].rpartition("-")[2]) if paths else 0)
        paths = [path for path in paths if int(path.rpartition("-")[2]) == common]
        if common and not paths:
            raise UserError(
                f"Checkpoint {common} of another worker is not here; remove the checkpoints of all"
                " workers."
            )
    for path in paths:
        try:
            checkpoint.restore(path).assert_existing_objects_matched()
            return
        except (tf.errors.OpError, ValueError, AssertionError, IndexError, RuntimeError) as error:
            raise_if_received()
            cause = cause_of(error)
            logging.warning("The checkpoint %s is damaged (%s); it is passed over.", path, cause)
            for variable, value in zip(variables, initial, strict=True):
                variable.assign(value)


def compiled_step(
    trainer: keras.Model, strategy: tf.distribute.Strategy
) -> Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """One training step on every replica of `strategy`: a batch of the global size -> the logged
    values, summed over replicas.
    """

    @tf.function
    def step(batch):
        values = strategy.run(trainer.train_step, args=(batch,))
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in values.items()}

    return step


def evaluate_steps(trainer: keras.Model, dataset: tf.data.Dataset) -> Logs:
    """Means of `trainer.test_step` over the images of `dataset`, on one device; compiled once for a
    trainer.
    """
    # Past Keras' tracking: it is no part of a checkpoint.
    own: dict[str, Any] = trainer.__dict__
    if _TEST_STEP not in own:
        own[_TEST_STEP] = tf.function(trainer.test_step, reduce_retracing=True)
    batches = [(int(batch["label"].shape[0]), own[_TEST_STEP](batch)) for batch in dataset]
    images = sum(size for size, _ in batches)
    # Read when all are under way, so that an accelerator need not wait for the host after every
    # batch.
    return {
        name: sum(float(values[name]) * size for size, values in batches) / images
        for name in batches[0][1]
    }
