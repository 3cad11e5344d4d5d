"""Extraction: what is asked and how often, one step of training by hand, agreement with a linear
oracle.
"""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.evaluation.extraction import extract
from madvae_tf.models.substitutes import SubstituteClassifier
from madvae_tf.utils.errors import UserError

PATTERNS = (np.random.default_rng(0).random((10, 784)) > 0.8).astype(np.float32)
SETTINGS = {
    "rounds": 2,
    "epochs": 6,
    "batch_size": 16,
    "learning_rate": 2e-3,
    "step": 0.1,
    "seed": 5,
}


def mixtures(n, seed):
    """Images between two patterns."""
    generator = np.random.default_rng(seed)
    share = generator.uniform(0, 1, (n, 1))
    one, other = PATTERNS[generator.integers(0, 10, n)], PATTERNS[generator.integers(0, 10, n)]
    return (share * one + (1 - share) * other).reshape(n, 28, 28, 1).astype(np.float32)


class Oracle:
    """Linear: the pattern, of another order, that the image resembles most; remembers what it was
    asked.
    """

    def __init__(self):
        self.asked = []

    def __call__(self, images):
        self.asked.append(images)
        return (images.reshape(-1, 784) @ (PATTERNS - PATTERNS.mean(0))[::-1].T).argmax(axis=1)


class Linear(keras.Model):
    """logits = flat(x) @ kernel, and what it was asked for while tracing."""

    num_classes = 10

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(10, use_bias=False, dtype=self.dtype_policy)
        self.dense.build((None, 784))
        self.traced = []
        self.built = True

    def call(self, inputs, training=False):
        return self.logits(inputs)

    def logits(self, images, dropout_seed=None):
        self.traced.append((images.shape[0], dropout_seed is not None))
        return tf.cast(self.dense(tf.reshape(images, (-1, 784))), tf.float32)


def build():
    return SubstituteClassifier("E", 0.0)


@pytest.fixture(scope="module")
def extracted():
    oracle = Oracle()
    return oracle, extract(oracle, build, mixtures(80, 1), **SETTINGS)


def test_every_round_doubles_the_set_and_asks_for_the_new_half_only(extracted):
    oracle, extraction = extracted
    assert [len(images) for images in oracle.asked] == [80, 80, 160]
    assert extraction.queries == 320
    np.testing.assert_array_equal(oracle.asked[0], mixtures(80, 1))
    have = oracle.asked[0]
    for images in oracle.asked[1:]:
        assert images.min() >= 0 and images.max() <= 1 and images.dtype == np.float32
        distance = np.abs(images - have).reshape(len(images), -1).max(axis=1)
        assert (distance > 0.09).all() and (distance < 0.1 + 1e-6).all()
        have = np.concatenate([have, images])


def test_a_linear_oracle_is_learnt(extracted):
    oracle, extraction = extracted
    fresh = mixtures(500, 2)
    expected = oracle(fresh)
    assert np.bincount(expected, minlength=10).max() < 150
    assert (extraction.substitute(fresh).numpy().argmax(axis=1) == expected).mean() > 0.85


def test_the_same_seed_gives_the_same_weights_and_another_others():
    def weights(letter="D", seed=5):
        short = {**SETTINGS, "rounds": 1, "epochs": 2, "seed": seed}
        extraction = extract(
            Oracle(), lambda: SubstituteClassifier(letter), mixtures(20, 1), **short
        )
        return extraction.substitute.get_weights()

    keras.utils.set_random_seed(77)
    first = weights()
    keras.utils.set_random_seed(78)
    for one, other in zip(first, weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(first[0], weights(seed=6)[0])
    assert not np.allclose(first[0], weights(letter="E")[0])  # the same shape without dropout


def test_one_step_of_training_by_hand():
    """No round, one batch: Adam's first step is learning_rate * g / (|g| + epsilon / sqrt(1 -
    beta_2)).
    """
    images = mixtures(6, 3)
    keras.utils.set_random_seed(4)
    model, oracle = Linear(), Oracle()
    start = model.get_weights()[0].astype(np.float64)
    extract(oracle, lambda: model, images, 0, 1, batch_size=6, learning_rate=0.01, step=0.1, seed=1)
    flat = images.reshape(6, 784).astype(np.float64)
    z = flat @ start
    probabilities = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    gradient = flat.T @ (probabilities - np.eye(10)[oracle(images)]) / 6
    expected = start - 0.01 * gradient / (np.abs(gradient) + 1e-7 / np.sqrt(1 - 0.999))
    np.testing.assert_allclose(model.get_weights()[0], expected, atol=1e-5)
    assert np.abs(expected - start).max() > 0.0099


def test_batches_of_one_size_are_traced_once_and_only_training_drops():
    model = Linear()
    done = []
    settings = {**SETTINGS, "rounds": 3, "batch_size": 8}
    extract(Oracle(), lambda: model, mixtures(3, 1), **settings, progress=done.append)
    assert model.traced == [(8, True), (8, False)]
    assert done == [1] * (4 * 6)


def test_mixed_precision_trains_a_float32_substitute():
    oracle = Oracle()
    mixed = extract(
        oracle, build, mixtures(80, 1), **SETTINGS, precision="mixed_bfloat16"
    ).substitute
    assert mixed.dtype_policy.name == "float32"
    fresh = mixtures(300, 2)
    assert (mixed(fresh).numpy().argmax(axis=1) == oracle(fresh)).mean() > 0.85
    exact = extract(oracle, build, mixtures(80, 1), **SETTINGS).substitute
    assert not np.array_equal(mixed.get_weights()[0], exact.get_weights()[0])


BAD = {
    "no images": ({"images": mixtures(0, 1)}, "at least one"),
    "uint8 images": ({"images": np.zeros((2, 28, 28, 1), np.uint8)}, "divide uint8 images by 255"),
    "no rounds": ({"rounds": -1}, "Invalid rounds: received -1"),
    "half an epoch": ({"epochs": 0.5}, "Invalid epochs: received 0.5"),
    "no batch": ({"batch_size": -1}, "Invalid batch_size: received -1"),
    "logits for labels": (
        {"query": lambda x: np.zeros((len(x), 10))},
        "take the arg-max of logits",
    ),
    "labels out of range": (
        {"query": lambda x: np.full(len(x), 10)},
        "for 10 outputs",
    ),
    "too few labels": ({"query": lambda x: np.zeros(1, int)}, r"of shape \(2,\)"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_mistakes_are_named(changes, message):
    arguments = {
        "query": Oracle(),
        "build": Linear,
        "images": mixtures(2, 1),
        **SETTINGS,
        **changes,
    }
    with pytest.raises(UserError, match=message):
        extract(**arguments)


def test_a_substitute_that_diverges_is_none():
    """The first update makes the weights infinite, so the second loss is none; six images are two
    batches an epoch.
    """
    more = {**SETTINGS, "rounds": 1, "epochs": 2, "batch_size": 3, "learning_rate": 1e38}
    with pytest.raises(
        UserError, match=r"diverged at step \d of 12.*learning rate 1e\+38.*smaller learning_rate"
    ):
        extract(Oracle(), build, mixtures(6, 1), **more)


def test_the_program_s_generators_are_left_alone():
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), str(np.random.get_state())
    extract(Oracle(), build, mixtures(6, 1), **{**SETTINGS, "rounds": 0, "epochs": 1})
    assert (random.getstate(), str(np.random.get_state())) == before
