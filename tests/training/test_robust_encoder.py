"""Adversarial training of the encoder, and the decoder's training on frozen features: what is
attacked, what learns, what stands still.
"""

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.callbacks import AverageWeights
from madvae_tf.training.inner_attack import InnerAttack
from madvae_tf.training.robust import RobustTrainer
from madvae_tf.training.robust_encoder import EncoderClassifier, EncoderTrainer

SEED = (4, 2)
ATTACK = InnerAttack(
    epsilon=0.3,
    radius_ratio=4 / 3,
    start_epsilon=0.1,
    ramp_steps=4,
    attack_steps=2,
    late_attack_steps=2,
    step_ratio=0.6,
    decaying_steps=True,
)


def encoder_trainer(average=False, attack=ATTACK, encoder="vgg"):
    keras.utils.set_random_seed(3)
    purifier = DefenseVAE(6, squash_scale=10.0, encoder=encoder)
    classifier = EncoderClassifier(purifier)
    mean = EncoderClassifier(DefenseVAE.from_config(purifier.get_config())) if average else None
    trainer = EncoderTrainer(classifier, mean, attack, seed=11)
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3))
    return purifier, trainer


def decoder_trainer(tiny, attack=ATTACK, average=0.0):
    """A `RobustTrainer` on an encoder with a classifier on it."""
    made = tiny.make_robust()
    purifier, pretrained = encoder_trainer()
    trainer = RobustTrainer(
        purifier,
        made._classify.func,
        made.term_weights,
        11,
        attack,
        average=average,
        encoder_classifier=pretrained.classifier,
    )
    trainer.compile(optimizer=keras.optimizers.Adam(1e-2))
    return trainer, pretrained


def logits_of(trainer, x):
    """Squash, encoder and head written out."""
    squash = trainer.classifier.squash
    squashed = tf.sigmoid(squash.scale * (x - squash.center.value))
    head = trainer.classifier.head
    return trainer.classifier.encoder(squashed) @ head.kernel.value + head.bias.value


def test_the_attack_climbs_through_the_head_within_ball_and_box(batch):
    _, trainer = encoder_trainer()
    x, label = batch["x"], batch["label"]
    # With small logits what an attack gains is a rounding of float32.
    trainer.classifier.head.kernel.assign(30.0 * trainer.classifier.head.kernel)
    got = trainer.attacked(trainer.classifier, x, label, 0.4, 2, SEED).numpy()
    noise = tf.random.stateless_uniform(x.shape, SEED, -1, 1, alg="philox").numpy()
    expected = np.clip(x + np.float32(0.4) * noise, 0, 1)
    for length in (0.6 * 0.4, 0.3 * 0.4):
        given = tf.constant(expected)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits_of(trainer, given))
        signs = np.sign(tape.gradient(loss, given).numpy())
        expected = np.clip(np.clip(expected + np.float32(length) * signs, x - 0.4, x + 0.4), 0, 1)
    assert np.mean(np.abs(got - expected) < 1e-5) > 0.95
    assert got.min() >= 0 and got.max() <= 1 and np.abs(got - x).max() <= 0.4 + 1e-6

    def loss(images):
        return float(
            tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits_of(trainer, images))
            )
        )

    assert loss(got) > loss(x)


def test_a_step_trains_squash_encoder_and_head_and_no_more(batch):
    purifier, trainer = encoder_trainer()
    rest = [
        *purifier.decoder.weights,
        *purifier.mean_head.weights,
        *purifier.log_variance_head.weights,
    ]
    still = [np.array(weight) for weight in rest]
    before = [np.array(weight) for weight in trainer.classifier.weights]
    step = tf.function(trainer.train_step)
    logs = [{name: float(value) for name, value in step(batch).items()} for _ in range(6)]
    assert all(np.array_equal(a, b) for a, b in zip(still, rest, strict=True))
    assert not any(
        np.array_equal(a, b) for a, b in zip(before, trainer.classifier.weights, strict=True)
    )
    # The encoder is the purifier's own.
    assert (
        purifier.encoder is trainer.classifier.encoder
        and purifier.squash is trainer.classifier.squash
    )
    assert logs[-1]["loss"] < logs[0]["loss"]
    # From 0.1 to the training's 0.4 over four steps; validation stays at 0.3.
    np.testing.assert_allclose(
        [entry["epsilon"] for entry in logs], [0.1, 0.175, 0.25, 0.325, 0.4, 0.4], rtol=1e-5
    )


def test_validation_is_of_the_average_at_epsilon(batch):
    _, trainer = encoder_trainer(average=True)
    averaging = AverageWeights(trainer.average, trainer.classifier, 0.5)
    for step in range(3):
        trainer.train_step(batch)
        averaging.on_train_batch_end(step)
    assert trainer.served is trainer.average
    x, label = batch["x"], batch["label"]
    logs = trainer.test_step(batch)
    attacked = trainer.attacked(
        trainer.average, x, label, 0.3, trainer.validation_steps, (11 + 86_028_121, -1)
    )
    assert np.abs(attacked - x).max() <= 0.3 + 1e-6
    for prefix, images in (("", x), ("attacked_", attacked)):
        predicted = np.argmax(trainer.average(images), axis=1)
        assert float(logs[f"{prefix}accuracy"]) == np.mean(predicted == label)


def test_the_decoder_learns_from_attacks_on_the_head_and_the_encoder_stands_still(batch, tiny):
    trainer, pretrained = decoder_trainer(tiny, average=0.5)
    purifier = trainer.purifier
    frozen = [
        *purifier.squash.weights,
        *purifier.encoder.weights,
        *pretrained.classifier.head.weights,
    ]
    still = [np.array(weight) for weight in frozen]
    learns = [*purifier.mean_head.weights, *purifier.log_variance_head.weights]
    learns += purifier.decoder.trainable_weights
    before = [np.array(weight) for weight in learns]
    assert {id(v) for v in trainer.trainable_variables} == {id(v) for v in learns}
    x, label = batch["x"], batch["label"]
    made = trainer._training_images(x, label, tf.constant(0.4), tf.constant(2), SEED).numpy()
    expected = pretrained.attacked(pretrained.classifier, x, label, 0.4, 2, SEED).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-5)
    averaging = AverageWeights(trainer.average, purifier, 0.5)
    step = tf.function(trainer.train_step)
    losses = []
    for number in range(8):
        losses.append(float(step(batch)["loss"]))
        averaging.on_train_batch_end(number)
    assert losses[-1] < 0.9 * losses[0]
    assert not any(np.array_equal(a, b) for a, b in zip(before, learns, strict=True))
    served = [*trainer.served.squash.weights, *trainer.served.encoder.weights]
    for one, other, kept in zip(still, frozen, [*served, *frozen[len(served) :]], strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, kept)


def test_validation_of_the_decoder_is_end_to_end(batch, tiny):
    """It is measured through purifier and classifier, whatever the training's attacks go through."""  # noqa: E501
    trainer, _ = decoder_trainer(tiny)
    kernel = trainer._classify.func.dense.kernel
    kernel.assign(30.0 * kernel)
    x, label = batch["x"], batch["label"]
    attacked = trainer.attacked(
        trainer.purifier, x, label, 0.3, trainer.validation_steps, (11 + 32_452_843, -1)
    )
    predicted = np.argmax(trainer._classify.func(trainer.purifier(attacked)), axis=1)
    assert float(trainer.test_step(batch)["attacked_accuracy"]) == np.mean(predicted == label)
    through_head = trainer._training_images(x, label, tf.constant(0.3), tf.constant(20), SEED)
    assert np.abs(attacked - through_head).max() > 0.1


def test_other_norms_go_through_the_head_too(batch):
    """Every other image within 0.36 in L-infinity, the rest by `threshold_l2` within the L2 radius
    that is wider alike.
    """
    attack = InnerAttack(
        epsilon=0.3, l2_epsilon=2.0, norm="both", threshold_l2=True, radius_ratio=1.2
    )
    _, trainer = encoder_trainer(attack=attack)
    x, label = batch["x"], batch["label"]
    moved = trainer.attacked(trainer.classifier, x, label, 0.36, 2, SEED).numpy() - x
    lengths = np.linalg.norm(moved[1::2].reshape(8, -1), axis=1)
    assert 0.3 < np.abs(moved[::2]).max() <= 0.36 + 1e-6
    assert 2.0 < lengths.max() <= 0.36 * 2.0 / 0.3 + 1e-4


def test_table_5_s_encoder_may_be_trained_first_and_its_statistics_then_stand_still(batch, tiny):
    purifier, trainer = encoder_trainer(encoder="table5")
    trainer.train_step(batch)
    moving = [weight for weight in purifier.encoder.weights if "moving" in weight.path]
    assert moving and all(np.array(weight).std() > 0 for weight in moving)
    made = tiny.make_robust()
    second = RobustTrainer(
        purifier,
        made._classify.func,
        made.term_weights,
        11,
        ATTACK,
        encoder_classifier=trainer.classifier,
    )
    second.compile(optimizer=keras.optimizers.Adam(1e-2))
    still = [np.array(weight) for weight in purifier.encoder.weights]
    second.train_step(batch)
    assert all(np.array_equal(a, b) for a, b in zip(still, purifier.encoder.weights, strict=True))
