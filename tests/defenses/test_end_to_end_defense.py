"""Defense-VAE end to end: the classifier is tuned on purified images, the purifier stays as it was."""  # noqa: E501

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.defenses.defense_vae import EndToEnd, PurifiedTrainer
from madvae_tf.defenses.files import load_keras
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError


@keras.saving.register_keras_serializable("madvae_tf_tests")
class Fader(keras.Model):
    """A purifier of one weight: images -> factor x images."""

    def __init__(self, factor=0.25, **kwargs):
        super().__init__(**kwargs)
        self.factor = self.add_weight(shape=(), initializer=keras.initializers.Constant(factor))
        self.built = True

    def encode(self, images):
        return tf.reduce_mean(images, axis=(2, 3)), None

    def call(self, inputs):
        return tf.cast(inputs, tf.float32) * tf.cast(self.factor, tf.float32)


@pytest.fixture
def rec(tmp_path):
    """The folder of a trained "defense_vae"."""
    folder = tmp_path / "rec"
    folder.mkdir()
    Fader().save(folder / "purifier.keras")
    return {"defense_vae": folder}


def loss(logits, label):
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)))


def test_a_killed_training_ends_as_an_unbroken_one(inputs, rec, assert_a_kill_changes_nothing):
    defense = EndToEnd(epochs=3, batch_size=8, learning_rate=1e-2)
    folder = assert_a_kill_changes_nothing(defense, inputs, kill=6, trained=rec)
    files = {"classifier.keras", "purifier.keras", "log.csv", "tensorboard"}
    assert {path.name for path in folder.iterdir()} == files

    # The folder holds all of it.
    (rec["defense_vae"] / "purifier.keras").unlink()
    given = inputs(folder)
    x, label = given.validation_pairs.x_adv, given.validation.labels
    np.testing.assert_allclose(load_keras(folder / "purifier.keras")(x), 0.25 * x, rtol=1e-6)
    tuned = load_keras(folder / "classifier.keras")
    assert loss(tuned(0.25 * x), label) < 0.8 * loss(given.classifier(0.25 * x), label)


def test_the_loaded_system_has_its_own_classifier_and_all_that_attacks_on_the_code_ask_for(
    inputs, tmp_path
):
    given = inputs(tmp_path)
    x = given.validation_pairs.x_adv[:3]
    purifier, tuned = DefenseVAE(latent_size=4), type(given.classifier)(dropout=0.0)
    purifier(x)
    tuned.set_weights([3 * weights for weights in given.classifier.get_weights()])
    purifier.save(tmp_path / "purifier.keras")
    tuned.save(tmp_path / "classifier.keras")
    defended = EndToEnd().load(tmp_path, given.classifier)
    purified = purifier.purify(x)
    np.testing.assert_allclose(defended.purify(x), purified, atol=1e-5)
    for logits, given_image in (
        (defended.logits(x), defended.purify(x)),
        (defended.classify(purified), purified),
    ):
        np.testing.assert_allclose(logits, tuned(given_image), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(defended.decode(defended.encode(x)), purified, atol=1e-5)
    assert defended.sample(x, np.zeros((3, 2), np.int32)).shape == (3, 4)


def test_a_step_is_one_on_purified_images(inputs, tmp_path):
    given = inputs(tmp_path)
    data = dict(zip(given.pairs.fields, given.pairs.batch(np.arange(16)), strict=True))
    tuned = type(given.classifier)(dropout=0.0)
    tuned.set_weights(given.classifier.get_weights())
    purifier = Fader()
    trainer = PurifiedTrainer(tuned, purifier, seed=3)
    trainer.compile(optimizer=keras.optimizers.SGD(0.5))
    assert float(trainer.test_step(data)["loss"]) == pytest.approx(
        loss(given.classifier(0.25 * data["x_adv"]), data["label"]), rel=1e-5
    )
    # Softmax minus one-hot, over the batch: the gradient of a dense layer's cross-entropy.
    flat = 0.25 * data["x_adv"].reshape(16, 784)
    kernel, bias = given.classifier.get_weights()
    excess = tf.nn.softmax(flat @ kernel + bias).numpy() - np.eye(10)[data["label"]]
    trainer.train_step(data)
    np.testing.assert_allclose(
        tuned.get_weights()[0], kernel - 0.5 * flat.T @ excess / 16, atol=1e-6
    )
    np.testing.assert_allclose(tuned.get_weights()[1], bias - 0.5 * excess.mean(axis=0), atol=1e-6)
    assert len(trainer.weights) == 2 and float(purifier.factor) == 0.25


def test_without_the_purifier_it_says_what_to_train(inputs, tmp_path):
    with pytest.raises(UserError, match="train 'defense_vae' first"):
        EndToEnd().train(inputs(tmp_path), tmp_path)
    assert EndToEnd.requires == ("defense_vae",)
