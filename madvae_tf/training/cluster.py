"""Training on several machines: who this process is (TF_CONFIG), the strategy, and what a lost
worker looks like.

    TF_CONFIG='{"cluster": {"worker": ["host0:4000", "host1:4000"]},
                "task": {"type": "worker", "index": 0}}'

Every worker runs the same command with a workdir of its own, on a machine of the same kind. The
strategy must be made before any other TensorFlow operation, so `join` is the first thing that such
a process does.
"""

import functools
import json
import os
from typing import Any

import tensorflow as tf

from madvae_tf.utils.errors import UserError

# What a worker's end looks like to the others.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def workers() -> tuple[int, int]:
    """This process's index and the number of workers: (0, 1) without TF_CONFIG.

    Raises:
        UserError: a TF_CONFIG that names no workers, or a task that is none of them.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0, 1
    try:
        config: dict[str, Any] = json.loads(text)
        count, index = len(config["cluster"]["worker"]), int(config["task"]["index"])
        if (
            set(config["cluster"]) != {"worker"}
            or config["task"]["type"] != "worker"
            or not 0 <= index < count
        ):
            raise ValueError(
                "the task is not one of its workers, or there are tasks other than workers"
            )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'Invalid TF_CONFIG: {type(error).__name__}: {error}; expected {{"cluster": {{"worker":'
            ' ["host0:4000", "host1:4000"]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
    return index, count


@functools.lru_cache(maxsize=1)
def join() -> tf.distribute.Strategy | None:
    """The strategy over the workers of TF_CONFIG, after all of them are there; None for one worker
    or no TF_CONFIG.
    """
    if workers()[1] < 2:
        return None
    return tf.distribute.MultiWorkerMirroredStrategy()


def share(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """The replicas' parts of global batches, in order: replica r of n gets the r-th n-th of every
    batch.
    """
    total = strategy.num_replicas_in_sync

    def pieces(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = total // context.num_input_pipelines
        first = context.input_pipeline_id * here

        def cut(batch: dict[str, tf.Tensor]) -> tf.data.Dataset:
            def part(values: tf.Tensor) -> tf.Tensor:
                size = values.shape[0] // total
                return tf.reshape(values, (total, size, *values.shape[1:]))[first : first + here]

            parts: Any = {name: part(values) for name, values in batch.items()}
            return tf.data.Dataset.from_tensor_slices(parts)

        return batches.flat_map(cut)

    return strategy.distribute_datasets_from_function(pieces)


def newest_common(strategy: tf.distribute.Strategy, step: int) -> int:
    """The smallest of the workers' `step`s: a checkpoint that all of them have, since each keeps
    the last two.
    """

    @tf.function
    def gathered() -> tf.Tensor:
        def own() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_gather(tf.constant([step], tf.int32), axis=0)

        return strategy.experimental_local_results(strategy.run(own))[0]

    return int(tf.reduce_min(gathered()))
