"""Targets small enough to attack in a test: a trained network on mixtures of ten binary patterns,
and linear models.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, run_attack

CLASSES, PIXELS = 10, 784


@dataclasses.dataclass(frozen=True)
class Prey:
    """A target with images of every difficulty and their labels."""

    target: DefendedModel
    x: np.ndarray
    y: np.ndarray


def _mixtures(
    generator: np.random.Generator, patterns: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images that are mostly their label's pattern and partly another's; pixels of exactly 0 and 1
    are common.
    """
    y = generator.integers(CLASSES, size=count)
    other = (y + generator.integers(1, CLASSES, size=count)) % CLASSES
    share = generator.uniform(0.5, 1.0, size=(count, 1))
    x = share * patterns[y] + (1 - share) * patterns[other]
    return x.reshape(-1, 28, 28, 1).astype(np.float32), y


@pytest.fixture(scope="session")
def prey() -> Prey:
    """A two-layer network trained for a hundred steps, and 24 images that it classifies right."""
    generator = np.random.default_rng(0)
    patterns = (generator.random((CLASSES, PIXELS)) > 0.8).astype(np.float64)
    x_train, y_train = _mixtures(generator, patterns, 2000)
    hidden = tf.Variable(generator.normal(size=(PIXELS, 32)) / 28, dtype=tf.float32)
    output = tf.Variable(generator.normal(size=(32, CLASSES)) / 6, dtype=tf.float32)

    def logits(x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.nn.elu(tf.matmul(tf.reshape(x, (-1, PIXELS)), hidden)), output)

    @tf.function
    def train() -> None:
        for _ in tf.range(100):
            with tf.GradientTape() as tape:
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    y_train, logits(tf.constant(x_train))
                )
                loss = tf.reduce_mean(loss)
            for variable, gradient in zip(
                (hidden, output), tape.gradient(loss, (hidden, output)), strict=True
            ):
                variable.assign_sub(0.5 * gradient)

    train()
    x, y = _mixtures(generator, patterns, 1000)
    z = np.array(logits(tf.constant(x)))
    lead = z[np.arange(len(y)), y] - np.where(np.eye(CLASSES, dtype=bool)[y], -np.inf, z).max(1)
    by_lead = np.argsort(np.where(lead > 0, lead, np.inf))[: np.sum(lead > 0)]
    # Half of them so close to a boundary that the weakest attack finds something; the rest of all
    # leads.
    chosen = generator.permutation(
        by_lead[(np.linspace(0, 1, 24) ** 4 * (len(by_lead) - 24)).astype(int) + np.arange(24)]
    )
    return Prey(DefendedModel(logits), x[chosen], y[chosen])


@pytest.fixture(scope="session")
def linear() -> Callable[..., DefendedModel]:
    """Gives the target with logits flat(x) @ weights + bias, from NumPy (784, 10) and (10,).

    There is one, which the next call changes: attacks that differ in no setting are compiled for it
    once.
    """
    kernel, offset = (
        tf.Variable(tf.zeros(shape), trainable=False) for shape in ((PIXELS, CLASSES), CLASSES)
    )
    target = DefendedModel(lambda x: tf.matmul(tf.reshape(x, (-1, PIXELS)), kernel) + offset)

    def make(weights: np.ndarray, bias: np.ndarray) -> DefendedModel:
        kernel.assign(weights.astype(np.float32))
        offset.assign(bias.astype(np.float32))
        return target

    return make


@pytest.fixture
def assert_nothing_retraces(prey):
    """A function that attacks twice and looks whether the target was traced again."""

    def check(attack):
        traces = []

        def logits(x):
            traces.append(x.shape)
            return prey.target.logits(x)

        target = dataclasses.replace(prey.target, logits=logits)
        run_attack(attack, target, prey.x[:8], prey.y[:8], (0, 0), batch_size=4)
        before = len(traces)
        run_attack(attack, target, prey.x[:11], prey.y[:11], (0, 1), batch_size=4)
        assert len(traces) == before > 0

    return check
