"""The trainer of `robust`: its schedule by hand, its attack against the definition, what a step
learns from and changes.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks.budget_allocation import BudgetAllocation
from madvae_tf.training.callbacks import AverageWeights
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.inner_attack import InnerAttack, late_start

STREAM = 32_452_843
SEED = (4, 2)


@pytest.fixture
def robust(tiny):
    return tiny.make_robust


def system(trainer, images):
    """Logits of the deployed system, written out: squash, latent mean, sigmoid, classifier."""
    purifier = trainer.purifier
    squashed = tf.sigmoid(purifier.squash.scale * (images - purifier.squash.center.value))
    mean = purifier.mean_head(purifier.encoder(squashed, training=False))
    return trainer._classify.func(tf.sigmoid(purifier.decoder(mean, training=False)))


def entropy(trainer, images, label):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=label, logits=system(trainer, images)
    )


def attacked_by_hand(trainer, x, label, epsilon, steps, step_size, seed):
    """The images, and the least that a pixel's gradient was at any step, as a share of its image's
    largest.
    """
    share = np.ones_like(x)
    adversarial = np.clip(
        x + epsilon * tf.random.stateless_uniform(x.shape, seed, -1, 1, alg="philox").numpy(), 0, 1
    )
    for _ in range(steps):
        given = tf.constant(adversarial)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(entropy(trainer, given, label))
        gradient = tape.gradient(loss, given).numpy()
        size = np.abs(gradient)
        share = np.minimum(share, size / size.max(axis=(1, 2, 3), keepdims=True))
        adversarial = adversarial + np.float32(step_size) * np.sign(gradient)
        adversarial = np.clip(np.clip(adversarial, x - epsilon, x + epsilon), 0, 1)
    return adversarial, share


def test_the_ramp_by_hand():
    def ramp(attack, steps):
        return [float(attack.epsilon_at(tf.constant(step))) for step in steps]

    attack = InnerAttack(epsilon=0.3, start_epsilon=0.05, ramp_steps=700)
    np.testing.assert_allclose(
        ramp(attack, [0, 70, 350, 700, 5000]), [0.05, 0.075, 0.175, 0.3, 0.3], rtol=1e-6
    )
    np.testing.assert_allclose(
        ramp(InnerAttack(epsilon=0.2, ramp_steps=0), [0, 9]), [0.2, 0.2], rtol=1e-6
    )


def test_steps_and_their_length_by_hand():
    attack = InnerAttack(attack_steps=1, late_attack_steps=4, late_start=late_start(10, 0.7))
    assert [int(attack.steps_at(tf.constant(step))) for step in (0, 6, 7, 9)] == [1, 1, 4, 4]
    lengths = [float(attack.step_size(0.3, steps)) for steps in (1, 2, 4, 10)]
    np.testing.assert_allclose(lengths, [0.375, 0.375, 0.1875, 0.075], rtol=1e-6)
    decaying_steps = InnerAttack(step_ratio=2.0, decaying_steps=True)
    np.testing.assert_allclose(
        [float(decaying_steps.step_size(0.3, steps)) for steps in (1, 8)], 0.6, rtol=1e-6
    )
    assert [late_start(100, part) for part in (0.0, 0.55, 1.0)] == [0, 55, 100]


@pytest.mark.parametrize(
    ("epsilon", "steps", "step_size"), [(0.3, 1, 0.375), (0.1, 3, 0.1 * 1.25 * 2 / 3)]
)
def test_the_attack_is_that_of_the_deployed_system_in_ball_and_box(
    batch, robust, epsilon, steps, step_size
):
    trainer = robust()
    for _ in range(
        3
    ):  # Moving statistics that are neither those of the batch nor those of the start.
        trainer.train_step(batch)
    # Untrained, it answers nearly the same to every image: with small logits what an attack gains
    # is a rounding of float32.
    kernel = trainer._classify.func.dense.kernel
    kernel.assign(30.0 * kernel)
    before = [np.array(weight) for weight in trainer.purifier.weights]
    x, label = batch["x"], batch["label"]
    got, noisy = (
        trainer.attacked(trainer.purifier, x, label, epsilon, tf.constant(count), SEED).numpy()
        for count in (steps, 0)
    )
    expected, share = attacked_by_hand(trainer, x, label, epsilon, steps, step_size, SEED)
    agreeing = np.abs(got - expected) < 1e-5
    # A gradient next to 0 may round to either sign, and the next steps go on from there: 0.97 to 1
    # of all pixels on four instruction sets.
    ample = share > 0.03
    assert ample.mean() > 0.25 and agreeing[ample].mean() > 0.99
    assert agreeing.mean() > (0.99 if steps == 1 else 0.95)
    # What such a share can tell apart: one step fewer, or steps half as long, agree on far less.
    for other, _ in (
        attacked_by_hand(trainer, x, label, epsilon, steps - 1, step_size, SEED),
        attacked_by_hand(trainer, x, label, epsilon, steps, 0.5 * step_size, SEED),
    ):
        assert np.mean(np.abs(got - other) < 1e-5) < 0.9
    for images in (got, noisy):
        assert (
            images.min() >= 0 and images.max() <= 1 and np.abs(images - x).max() <= epsilon + 1e-6
        )
    plain, under_noise, under_attack = (
        float(tf.reduce_mean(entropy(trainer, images, label))) for images in (x, noisy, got)
    )
    assert under_attack - plain > 2 * abs(under_noise - plain)
    # Making the attack moves nothing, the statistics of batch normalisation least of all.
    assert all(np.array_equal(a, b) for a, b in zip(before, trainer.purifier.weights, strict=True))


def test_threshold_l2_spends_the_budget_where_the_gradient_without_the_squashs_slope_says(
    batch, robust
):
    x, label = batch["x"], batch["label"]
    trainer = robust(attack=InnerAttack(epsilon=2.0, norm="l2", threshold_l2=True))
    kernel = trainer._classify.func.dense.kernel
    kernel.assign(30.0 * kernel)
    got = trainer.attacked(trainer.purifier, x, label, 2.0, tf.constant(2), SEED).numpy()
    squash = trainer.purifier.squash
    k, b = float(squash.scale), float(squash.center.value)
    noise = (
        tf.random.stateless_uniform(x.shape, SEED, -1, 1, alg="philox").numpy().astype(np.float64)
    )
    norm = lambda d: np.sqrt((d**2).sum(axis=(1, 2, 3), keepdims=True))  # noqa: E731
    image = np.clip(x + 2.0 * noise / norm(noise), 0, 1).astype(np.float32)
    # By the exact gradient over the squash's slope, in float64, summed over the two steps.
    total = np.zeros((len(x), 784))
    for _ in range(2):
        with tf.GradientTape() as tape:
            given = tf.constant(image)
            tape.watch(given)
            loss = tf.reduce_sum(entropy(trainer, given, label))
        s = 1 / (1 + np.exp(-k * (image.astype(np.float64) - b)))
        gradient = (tape.gradient(loss, given).numpy() / (k * s * (1 - s))).reshape(-1, 784)
        total += gradient / np.abs(gradient).mean(axis=1, keepdims=True)
        image = (
            BudgetAllocation(tf.constant(x), squash, 2.0)
            .allocate(tf.constant(total, tf.float32))
            .numpy()
        )
    assert np.mean(np.abs(got - image) < 1e-5) > 0.99
    assert (norm(got - x) <= 2.0 + 1e-5).all() and got.min() >= 0 and got.max() <= 1


def test_a_mix_attacks_each_image_in_its_own_way(batch, robust):
    """Of the mix l2, threshold_l2: the even images as the exact gradient's attack in L2 has them,
    the odd ones as `threshold_l2`'s alone has them.
    """
    x, label = batch["x"], batch["label"]
    own = {"epsilon": 0.3, "norm": "both", "step_ratio": 2.0, "decaying_steps": True}
    alone = {"epsilon": 2.0, "norm": "l2", "step_ratio": 2.0, "decaying_steps": True}
    attacks = {
        "mix": (InnerAttack(**own, norm_mix="l2,threshold_l2"), 0.3),
        "l2": (InnerAttack(**alone), 2.0),
        "threshold": (InnerAttack(**alone, threshold_l2=True), 2.0),
    }
    # One step: the batches differ, and with them the last bits, which more steps carry across kinks
    # of the network.
    got = {}
    for name, (attack, radius) in attacks.items():
        trainer = robust(attack=attack)
        got[name] = trainer.attacked(
            trainer.purifier, x, label, radius, tf.constant(1), SEED
        ).numpy()
    np.testing.assert_allclose(got["mix"][::2], got["l2"][::2], atol=1e-3)
    np.testing.assert_allclose(got["mix"][1::2], got["threshold"][1::2], atol=1e-3)
    assert np.abs(got["l2"] - got["threshold"]).max() > 0.1


def test_a_step_learns_from_the_attack_what_an_ordinary_step_learns_from_pairs(batch, robust):
    settings = {"attack": InnerAttack(0.3, 0.1, 4, 2, 2, 0, 1.0)}
    trainer, twin = (robust(optimizer=keras.optimizers.SGD(0.1), **settings) for _ in range(2))
    x, label = batch["x"], batch["label"]
    x_adv = twin.attacked(twin.purifier, x, label, 0.1, 2, (11 + STREAM, 0))
    ordinary = DefenseTrainer(twin.purifier, twin._classify.func, twin.term_weights, seed=11)
    ordinary.compile(optimizer=keras.optimizers.SGD(0.1))
    expected = ordinary.train_step({"x_adv": x_adv, "x": x, "label": label})
    logs = trainer.train_step(batch)
    assert set(logs) - set(expected) == {
        "attacked_accuracy",
        "epsilon",
        "squash_scale",
        "squash_center",
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)
    for got, want in zip(trainer.purifier.weights, twin.purifier.weights, strict=True):
        np.testing.assert_allclose(got, np.array(want), atol=1e-5)
    assert float(logs["epsilon"]) == pytest.approx(0.1)
    assert float(trainer.train_step(batch)["epsilon"]) == pytest.approx(0.15)
    assert 0 <= float(logs["attacked_accuracy"]) <= 1


def test_all_is_trained_but_the_classifier_the_squash_too(batch, robust):
    trainer = robust(keras.optimizers.Adam(3e-2))
    classifier = trainer._classify.func
    frozen = [np.array(weight) for weight in classifier.weights]
    before = [np.array(weight) for weight in trainer.trainable_weights]
    step = tf.function(trainer.train_step)
    logs = [{name: float(value) for name, value in step(batch).items()} for _ in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(frozen, classifier.weights, strict=True))
    assert not any(
        np.array_equal(a, b) for a, b in zip(before, trainer.trainable_weights, strict=True)
    )
    assert logs[-1]["loss"] < 0.9 * logs[0]["loss"]
    assert logs[-1]["squash_scale"] != logs[0]["squash_scale"]
    assert float(trainer.purifier.squash.scale) > 0
    for entry in logs:
        loss = (entry["reconstruction"] + 0.1 * entry["kl"]) / 784 + 0.3 * entry["classification"]
        np.testing.assert_allclose(entry["loss"], loss, rtol=1e-5)


def test_starts_change_from_step_to_step_and_not_from_run_to_run(batch, robust):
    runs = []
    for _ in range(2):
        trainer = robust(optimizer=keras.optimizers.SGD(0.0))
        runs.append([float(trainer.train_step(batch)["classification"]) for _ in range(3)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 3


def test_consistency_is_the_divergence_between_clean_and_attacked(batch, robust):
    trainer, twin = (robust(optimizer=keras.optimizers.SGD(0.0), consistency=2.0) for _ in range(2))
    for each in (trainer, twin):  # An untrained classifier says nearly the same of every image.
        kernel = each._classify.func.dense.kernel
        kernel.assign(8 * kernel)
    x, label = batch["x"], batch["label"]
    x_adv = twin.attacked(twin.purifier, x, label, 0.3, 1, (11 + STREAM, 0))
    noise = tf.random.stateless_normal((32, 6), [11, 0], alg="philox")
    both = tf.concat([x, x_adv], axis=0)
    mean, log_variance = twin.purifier.encode(both, training=True)
    z = mean + tf.exp(log_variance / 2) * noise
    purified = tf.sigmoid(twin.purifier.decode_logits(z, training=True))
    p, q = np.split(tf.nn.softmax(twin._classify.func(purified)).numpy().astype(np.float64), 2)
    logs = trainer.train_step(batch)
    expected = (p * np.log(p / q)).sum() / 32  # nothing between the clean half and itself
    assert expected > 1e-3
    np.testing.assert_allclose(logs["consistency"], expected, rtol=1e-2)
    loss = (logs["reconstruction"] + 0.1 * logs["kl"]) / 784 + 0.3 * logs["classification"]
    np.testing.assert_allclose(logs["loss"], loss + 2.0 * logs["consistency"], rtol=1e-5)
    assert float(logs["attacked_accuracy"]) == np.mean(q.argmax(axis=1) == label)


def test_the_average_by_hand_and_what_is_validated(batch, robust):
    trainer = robust(average=0.5)
    keeper = AverageWeights(trainer.average, trainer.purifier, 0.5)
    assert trainer.served is trainer.average and not trainer.average.trainable_weights
    expected = [np.array(weight) for weight in trainer.purifier.weights]
    for step in range(3):
        trainer.train_step(batch)
        keeper.on_train_batch_end(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * mean + (1 - decay) * np.array(weight)
            for mean, weight in zip(expected, trainer.purifier.weights, strict=True)
        ]
    for got, want in zip(trainer.average.weights, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    logs = trainer.test_step(batch)
    right = np.argmax(trainer._classify.func(trainer.average(batch["x"])), axis=1) == batch["label"]
    assert float(logs["accuracy"]) == right.mean()
    without = robust()
    assert without.served is without.purifier


def test_validation_is_at_the_full_epsilon_from_fixed_starts(batch, robust):
    trainer = robust(attack=InnerAttack(0.3, 0.05, 1000), validation_steps=3)
    x, label = batch["x"], batch["label"]
    first, again = ({k: float(v) for k, v in trainer.test_step(batch).items()} for _ in range(2))
    assert first == again
    x_adv = trainer.attacked(trainer.purifier, x, label, 0.3, 3, (11 + STREAM, -1))
    for prefix, images in (("", x), ("attacked_", x_adv)):
        logits = system(trainer, images)
        assert first[f"{prefix}accuracy"] == np.mean(np.argmax(logits, axis=1) == label)
        np.testing.assert_allclose(
            first[f"{prefix}classification"], np.mean(entropy(trainer, images, label)), rtol=1e-4
        )
        apart = np.linalg.norm((trainer.purifier(images) - x).numpy().reshape(16, -1), axis=1)
        np.testing.assert_allclose(first[f"{prefix}distance_l2"], apart.mean(), rtol=1e-4)
    assert first["attacked_classification"] > first["classification"]


def test_a_purifier_without_a_squash_trains_too(batch, tiny):
    trainer = tiny.make_robust(scale=0.0)
    assert trainer.purifier.squash is None
    assert not any(name.startswith("squash") for name in trainer.train_step(batch))
