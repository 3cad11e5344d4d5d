"""Extraction of a substitute from the labels that a black box gives (Papernot et al. 2016,
Algorithm 1).

The attacker has a few images of their own, lets the black box label them and trains a substitute.
Every round then doubles the set (`jacobian`), lets the new half be labelled, and trains on the
whole set from the weights that the substitute has. So 6 rounds cost 2^6 times the first images: 100
are 6,400 queries, as Papernot et al. count them, and Defense-GAN's 150 are 9,600. (Its released
code stops at five doublings: for its 4,800 queries give 5 rounds.)
"""

import dataclasses
import math
import numbers
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.data.batches import epoch_order
from madvae_tf.evaluation.jacobian import augmentation
from madvae_tf.models.copies import in_precision
from madvae_tf.models.finite import all_finite
from madvae_tf.models.seeding import initial_weights
from madvae_tf.training.divergence import diverged
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import check_images
from madvae_tf.utils.labels import check_classes, check_labels


@dataclasses.dataclass(frozen=True, eq=False)
class Extraction:
    """What an extraction gives.

    Attributes:
        substitute: the trained substitute, float32.
        queries: how many images the black box was asked to label.
    """

    substitute: keras.Model
    queries: int


def extract(
    query: Callable[[np.ndarray], np.ndarray],
    build: Callable[[], keras.Model],
    images: np.ndarray,
    rounds: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    step: float,
    seed: int,
    precision: str = "float32",
    progress: Callable[[int], object] | None = None,
) -> Extraction:
    """Trains a substitute of a black box; the same arguments give the same weights.

    Args:
        query: the black box: float32 (n, height, width, channels) in [0, 1] -> its labels, integers
            (n,) in [0, classes). It is given all new images of a round at once, and each of them
            once.
        build: makes the substitute, float32, with `logits(images, dropout_seed)` as the classifiers
            have it; its initial weights follow from `seed`.
        images: the attacker's own, floating point (n, height, width, channels) in [0, 1].
        rounds: of augmentation; with 0 the substitute learns from the first images alone.
        epochs: of training, before the first round and in every round.
        batch_size: images per step of training and of augmentation.
        learning_rate: Adam's, whose moments go on from round to round.
        step: the augmentation's lambda.
        precision: a Keras dtype policy for training; the substitute comes back in float32.
        progress: called with 1 after every epoch; there are (rounds + 1) * epochs.

    Raises:
        UserError: invalid images or none, a count out of range, or a query that does not give
            labels; the training diverged.
    """
    points = check_images(images, "images of the attacker")
    if not len(points):
        raise UserError(
            "Invalid images of the attacker: received none, expected at least one; give some."
        )
    for name, value, minimum in (
        ("rounds", rounds, 0),
        ("epochs", epochs, 1),
        ("batch_size", batch_size, 1),
    ):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
            raise UserError(
                f"Invalid {name}: received {value!r}, expected an integer >= {minimum}; raise it."
            )
    with initial_weights(seed):
        substitute = build()
    trained = substitute if precision == "float32" else in_precision(substitute, precision)
    train = _training_step(trained, learning_rate, seed)
    total = epochs * sum(
        math.ceil(len(points) * 2**number / batch_size) for number in range(rounds + 1)
    )
    steps = 0
    augment = augmentation(lambda x: trained.logits(x), step, batch_size)
    labels = np.zeros(0, np.int64)
    for number in range(rounds + 1):
        if number:
            points = np.concatenate([points, augment(points, labels)])
        labels = np.concatenate([labels, _ask(query, points[len(labels) :])])
        if classes := getattr(trained, "num_classes", 0):
            check_classes(labels, classes, "labels of the query")
        for epoch in range(number * epochs, (number + 1) * epochs):
            losses = [
                train(tf.constant(points[rows]), tf.constant(labels[rows]))
                for rows in _batches(len(points), batch_size, seed, epoch)
            ]
            finite = np.isfinite(np.array(losses, np.float32))
            if not finite.all() or not all_finite(trained.weights):
                # The loss comes before the step's update: where it is finite throughout, the last
                # update is at fault.
                bad = int(np.argmin(finite)) if not finite.all() else len(losses) - 1
                what = "the loss or a weight of the substitute is NaN or infinite"
                raise diverged(steps + bad, total, what, learning_rate)
            steps += len(losses)
            if progress is not None:
                progress(1)
    substitute.set_weights(trained.get_weights())
    return Extraction(substitute, len(labels))


def _training_step(model: keras.Model, learning_rate: float, seed: int) -> Callable[..., tf.Tensor]:
    """Compiled: one step of Adam on the cross-entropy of a batch's labels, which it returns;
    dropout is drawn from (seed, step).
    """
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        dropout_seed = tf.stack([seed, tf.cast(optimizer.iterations, tf.int32)])
        with tf.GradientTape() as tape:
            logits = model.logits(images, dropout_seed)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(entropy)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return train


def _batches(n: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The rows of an epoch's batches, int64 (batches, batch_size).

    The last batch is filled from the epoch's beginning, so that no step retraces and every image is
    seen: of 150 images in batches of 128, dropping the rest would leave out one in seven.
    """
    count = math.ceil(n / batch_size)
    return np.resize(epoch_order(n, seed, epoch), (count, batch_size))


def _ask(query: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    return check_labels(
        query(images), len(images), "labels of the query", "take the arg-max of logits"
    )
