"""DefenseTrainer: what a step does to purifier, centres and frozen classifier, and what it logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.config.variants import VARIANTS

TERMS = {
    "vanilla": {"reconstruction", "kl"},
    "cls": {"reconstruction", "kl", "classification"},
    "pd": {"reconstruction", "kl", "proximity", "distance"},
    "combined": {"reconstruction", "kl", "classification", "proximity", "distance"},
    "identity": {"reconstruction", "kl"},
    "defense_vae": {"reconstruction"},
    "mixture": {"reconstruction", "class_kl"},
    "robust": {"reconstruction", "kl", "classification"},
}


def steps(trainer, batch, count):
    """The logs of `count` steps on one batch."""
    step = tf.function(trainer.train_step)
    return [{name: float(value) for name, value in step(batch).items()} for _ in range(count)]


def recombined(logs, variant, weights):
    """The loss from its logged terms, by the formula of the paper."""
    loss = (
        logs["reconstruction"] + weights["beta"] * (logs.get("kl", 0) + logs.get("class_kl", 0))
    ) / 784
    of_classification = {"cls": "alpha", "combined": "gamma", "robust": "classification"}
    if variant in of_classification:
        loss += weights[of_classification[variant]] * logs["classification"]
    if variant in ("pd", "combined"):
        loss += weights["proximity"] * logs["proximity"] - weights["sigma"] * logs["distance"]
    return loss


def changed(before, variables):
    return [
        not np.array_equal(was, now)
        for was, now in zip(before, map(np.array, variables), strict=True)
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_trains_what_it_should_and_logs_what_it_sums(tiny, batch, variant):
    trainer = tiny.make_purifier(variant, keras.optimizers.Adam(1e-2))
    classifier = trainer._classify.func
    frozen = [np.array(weight) for weight in classifier.weights]
    trained = [np.array(weight) for weight in trainer.trainable_weights]
    logs = steps(trainer, batch, 8)
    assert set(logs[0]) == {"loss"} | TERMS[variant]
    for entry in logs:
        np.testing.assert_allclose(
            entry["loss"], recombined(entry, variant, tiny.WEIGHTS), rtol=1e-5
        )
    assert logs[-1]["loss"] < 0.9 * logs[0]["loss"]
    assert not any(changed(frozen, classifier.weights))
    assert all(changed(trained, trainer.trainable_weights))
    assert not {id(weight) for weight in classifier.weights} & {
        id(weight) for weight in trainer.weights
    }
    with_centers = variant in ("pd", "combined", "mixture")
    assert (trainer.centers is not None) == with_centers == (trainer.center_norms() is not None)
    assert len(trainer.trainable_weights) == len(trainer.purifier.trainable_weights) + with_centers
    if with_centers:
        assert trainer.centers.shape == (10, 6)
        assert id(trainer.centers) in {id(weight) for weight in trainer.trainable_weights}
        norms = np.linalg.norm(np.array(trainer.centers), axis=1)
        np.testing.assert_allclose(trainer.center_norms(), norms, rtol=1e-5)


def test_the_first_step_follows_the_definition(tiny, batch):
    """Noise from (seed, step), the sample, the terms and the clipped step, written out."""
    trainer, twin = (
        tiny.make_purifier("vanilla", keras.optimizers.SGD(0.5), clip_norm=0.1) for _ in range(2)
    )
    noise = tf.random.stateless_normal((16, 6), [11, 0], alg="philox")
    with tf.GradientTape() as tape:
        mean, log_variance = twin.purifier.encode(batch["x_adv"], training=True)
        z = mean + tf.sqrt(tf.exp(log_variance)) * noise
        p = tf.sigmoid(twin.purifier.decode_logits(z, training=True))
        entropy = -batch["x"] * tf.math.log(p) - (1 - batch["x"]) * tf.math.log(1 - p)
        kl = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - 1 - log_variance)
        loss = (tf.reduce_sum(entropy) + 0.1 * kl) / 784 / 16
    variables = twin.purifier.trainable_variables
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, variables)]
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    assert norm > 0.1  # or nothing is clipped
    expected = [
        np.array(v) - 0.5 * 0.1 / norm * g for v, g in zip(variables, gradients, strict=True)
    ]
    logs = steps(trainer, batch, 1)[0]
    np.testing.assert_allclose(logs["loss"], float(loss), rtol=1e-4)
    for got, want in zip(trainer.purifier.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(np.array(got), want, atol=2e-5)


def test_the_noise_changes_from_step_to_step_and_not_from_run_to_run(tiny, batch):
    runs = [
        steps(tiny.make_purifier("vanilla", keras.optimizers.SGD(0.0)), batch, 3) for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len({entry["loss"] for entry in runs[0]}) == 3


def test_test_step_scores_the_purified_images_at_the_latent_mean(tiny, batch):
    trainer = tiny.make_purifier()
    steps(trainer, batch, 2)
    before = [np.array(weight) for weight in trainer.weights]
    first, again = ({k: float(v) for k, v in trainer.test_step(batch).items()} for _ in range(2))
    assert first == again and not any(changed(before, trainer.weights))
    assert set(first) == {"loss", "accuracy"} | TERMS["combined"]
    np.testing.assert_allclose(
        first["loss"], recombined(first, "combined", tiny.WEIGHTS), rtol=1e-5
    )
    logits = trainer._classify.func(trainer.purifier(batch["x_adv"])).numpy()
    assert first["accuracy"] == np.mean(logits.argmax(axis=1) == batch["label"])


def test_the_classifier_learns_and_scores_itself(tiny, batch):
    trainer = tiny.make_classifier(keras.optimizers.Adam(1e-2))
    logs = steps(trainer, batch, 12)
    assert logs[-1]["loss"] < 0.9 * logs[0]["loss"]
    scores = trainer.test_step(batch)
    logits = trainer.classifier(batch["x"]).numpy()
    top = logits.max(axis=1)
    entropy = (
        np.log(np.exp(logits - top[:, None]).sum(axis=1))
        + top
        - logits[np.arange(16), batch["label"]]
    )
    np.testing.assert_allclose(float(scores["loss"]), entropy.mean(), rtol=1e-5)
    assert float(scores["accuracy"]) == np.mean(logits.argmax(axis=1) == batch["label"])


def test_both_images_of_a_pair_are_moved_alike(tiny, batch, monkeypatch):
    trainer = tiny.make_purifier("vanilla")
    trainer.max_shift = 2
    seen = {}
    forward = trainer.forward
    monkeypatch.setattr(
        trainer,
        "forward",
        lambda data, *args, **kw: seen.update(data) or forward(data, *args, **kw),
    )
    trainer.train_step({**batch, "x_adv": batch["x"]})
    np.testing.assert_array_equal(seen["x_adv"], seen["x"])
    assert not np.array_equal(seen["x"], batch["x"])
    np.testing.assert_array_equal(seen["label"], batch["label"])
