"""The inner attack against NumPy and its promises, the warm-up by hand, and what a step learns
from.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.external_classifier import ExternalClassifier
from madvae_tf.training.adversarial import AdversarialTrainer
from madvae_tf.training.classifier import build_classifier, classifier_in
from madvae_tf.training.inner_attack import attack_within

STREAM = 15_485_863
SEED = (4, 2)


def entropies(logits, label):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits).numpy()


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(8)
    return build_classifier("table6", 0.5, "float32")


def make_trainer(optimizer=None, **settings):
    keras.utils.set_random_seed(3)
    fields = {
        "epsilon": 0.3,
        "steps": 2,
        "step_size": 0.1,
        "warmup_steps": 0,
        "half_clean": False,
        "seed": 11,
    }
    trainer = AdversarialTrainer(build_classifier("table6", 0.0, "float32"), **(fields | settings))
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-3))
    return trainer


@pytest.mark.parametrize(("steps", "lead"), [(0, 0.0), (1, 0.0), (3, 0.0), (1, 300.0)])
def test_the_attack_follows_its_definition_on_a_linear_model(batch, steps, lead):
    """`lead`: how far the true class is above the others, whatever the image: so far float32's
    softmax is exactly 1.
    """
    weights = np.random.default_rng(0).normal(size=(784, 10)) / 28
    kernel = tf.constant(weights, tf.float32)
    ahead = lead * np.eye(10)[batch["label"]]
    got = attack_within(
        lambda x: tf.reshape(x, (-1, 784)) @ kernel + tf.constant(ahead, tf.float32),
        batch["x"],
        batch["label"],
        0.2,
        0.125,
        steps,
        SEED,
    )
    x = batch["x"].astype(np.float64)
    noise = tf.random.stateless_uniform(x.shape, SEED, -1.0, 1.0, alg="philox").numpy()
    expected = np.clip(x + 0.2 * noise, 0, 1)
    for _ in range(steps):
        # softmax - one-hot, without its factor 1 - p_y.
        others = np.exp(expected.reshape(16, 784) @ weights) * (1 - np.eye(10)[batch["label"]])
        share = others / others.sum(axis=1, keepdims=True)
        gradient = ((share - np.eye(10)[batch["label"]]) @ weights.T).reshape(x.shape)
        expected = np.clip(
            expected + 0.125 * np.sign(gradient), np.maximum(x - 0.2, 0), np.minimum(x + 0.2, 1)
        )
    # A gradient next to 0 may round to either sign; logits of 300 have rounded the images' own
    # part.
    assert np.mean(np.abs(got - expected) < 1e-5) > (0.99 if lead else 0.999)


@pytest.mark.parametrize(
    ("epsilon", "step_size", "steps"), [(0.3, 0.1, 7), (0.3, 0.375, 1), (0.05, 0.3, 3)]
)
def test_the_attack_stays_in_ball_and_box_and_beats_noise(
    batch, classifier, epsilon, step_size, steps
):
    attacked, noisy = (
        attack_within(
            classifier.logits, batch["x"], batch["label"], epsilon, step_size, count, SEED
        ).numpy()
        for count in (steps, 0)
    )
    for images in (attacked, noisy):
        assert images.min() >= 0 and images.max() <= 1
        assert np.abs(images - batch["x"]).max() <= epsilon + 1e-6
    plain, under_noise, under_attack = (
        entropies(classifier(images), batch["label"]) for images in (batch["x"], noisy, attacked)
    )
    assert np.mean(under_attack - plain) > 2 * np.mean(np.abs(under_noise - plain))
    assert np.all(under_attack > under_noise)


def test_epsilon_0_is_no_attack(batch, classifier):
    got = attack_within(classifier.logits, batch["x"], batch["label"], 0.0, 0.1, 2, SEED)
    np.testing.assert_array_equal(got, batch["x"])


def test_falling_steps_are_as_long_as_they_say():
    """Where no border is met and every gradient is positive, the way is the sum of the lengths: 1,
    3/4, 1/2, 1/4.
    """
    x = np.full((2, 28, 28, 1), 0.5, np.float32)
    start = attack_within(lambda images: images, x, np.zeros(2, np.int64), 0.4, 0.02, 0, SEED)
    way = {}
    for falling in (False, True):
        got = attack_within(
            lambda images: tf.stack([-tf.reduce_sum(images, (1, 2, 3)), tf.zeros(2)], axis=1),
            *(x, np.zeros(2, np.int64), 0.4, 0.02, 4, SEED),
            decaying_steps=falling,
        )
        way[falling] = got - start
    free = (start - 0.5).numpy() < 0.3
    np.testing.assert_allclose(way[True][free], 0.02 * 2.5, rtol=1e-4)
    np.testing.assert_allclose(way[False][free], 0.02 * 4, rtol=1e-4)


def test_no_gradient_passes_through_the_attack(batch, classifier):
    with tf.GradientTape() as tape:
        attacked = attack_within(classifier.logits, batch["x"], batch["label"], 0.3, 0.1, 1, SEED)
        loss = tf.reduce_sum(attacked)
    assert tape.gradient(loss, classifier.trainable_variables[0].value) is None


def test_the_warm_up_by_hand(batch):
    trainers = [make_trainer(warmup_steps=steps) for steps in (4, 0)]
    strengths = [
        [float(trainer.strength(tf.constant(step))) for step in range(6)] for trainer in trainers
    ]
    np.testing.assert_allclose(strengths, [[0.2, 0.4, 0.6, 0.8, 1.0, 1.0], [1.0] * 6], rtol=1e-6)
    trainer = make_trainer(warmup_steps=2)
    np.testing.assert_allclose(
        [float(trainer.train_step(batch)["epsilon"]) for _ in range(4)],
        [0.1, 0.2, 0.3, 0.3],
        rtol=1e-6,
    )


@pytest.mark.parametrize("half_clean", [False, True])
def test_a_step_learns_from_the_attack_on_the_classifier_as_it_is(batch, half_clean):
    """The first step of a warm-up of one: half of epsilon and of the step size."""
    trainer, twin = (
        make_trainer(keras.optimizers.SGD(0.1), half_clean=half_clean, warmup_steps=1)
        for _ in range(2)
    )
    model, x, label = twin.classifier, batch["x"], batch["label"]
    clean = np.arange(16) % 2 == 0 if half_clean else np.zeros(16, bool)
    x, label = np.concatenate([x[clean], x[~clean]]), np.concatenate([label[clean], label[~clean]])
    attacked = attack_within(
        model.logits, x[clean.sum() :], label[clean.sum() :], 0.15, 0.05, 2, (11 + STREAM, 0)
    )
    given = tf.concat([x[: clean.sum()], attacked], axis=0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, model(given)))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    assert float(tf.linalg.global_norm(gradients)) < 5  # or it would be clipped
    expected = [np.array(v) - 0.1 * g.numpy() for v, g in zip(variables, gradients, strict=True)]
    logs = trainer.train_step(batch)
    np.testing.assert_allclose(float(logs["loss"]), float(loss), rtol=1e-5)
    assert float(logs["accuracy"]) == np.mean(np.argmax(model(given), axis=1) == label)
    for got, want in zip(trainer.classifier.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(np.array(got), want, atol=1e-6)


def test_starts_change_from_step_to_step_and_not_from_run_to_run(batch):
    runs = []
    for _ in range(2):
        trainer = make_trainer(keras.optimizers.SGD(0.0), steps=1)
        runs.append([float(trainer.train_step(batch)["loss"]) for _ in range(3)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 3


def test_validation_is_on_clean_and_on_attacked_images(batch):
    trainer = make_trainer(warmup_steps=1000)  # Validation is at the full epsilon all the same.
    model = trainer.classifier
    before = model.get_weights()
    logs = {name: float(value) for name, value in trainer.test_step(batch).items()}
    attacked = attack_within(
        model.logits, batch["x"], batch["label"], 0.3, 0.1, 2, (11 + STREAM, -1)
    )
    for prefix, images in (("", batch["x"]), ("attacked_", attacked)):
        assert logs[f"{prefix}loss"] == pytest.approx(
            entropies(model(images), batch["label"]).mean(), rel=1e-5
        )
        right = np.argmax(model(images), axis=1) == batch["label"]
        assert logs[f"{prefix}accuracy"] == right.mean()
    assert logs["attacked_loss"] > logs["loss"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_a_table_6_from_a_file_computes_in_the_purifiers_precision(batch, classifier, outputs):
    foreign = ExternalClassifier(classifier, outputs)
    copy = classifier_in("mixed_bfloat16", foreign, "")
    if outputs == "probabilities":
        assert copy is foreign
        return
    assert copy.dtype_policy.name == "mixed_bfloat16" and copy.dropout == 0
    difference = np.abs(copy(batch["x"]) - classifier(batch["x"]))
    assert 0 < difference.max() < 0.05 * np.abs(classifier(batch["x"])).max() + 0.01
