"""Table 7: shapes and parameters by hand, dropout by NumPy, saving, precision, the registry."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.classifiers import CLASSIFIERS
from madvae_tf.models.substitutes import SubstituteClassifier
from madvae_tf.training.classifier import ClassifierTrainer, build_classifier
from madvae_tf.utils.errors import UserError

IMAGES = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)
LETTERS = "ABCDE"
SEED = tf.constant([1, 2])


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(3)
    return {letter: SubstituteClassifier(letter) for letter in LETTERS}


# "same" with stride 1 keeps 28, with stride 2 gives 14; unpadded, (28 - 5) // 2 + 1 = 12, (28 - 3)
# // 2 + 1 = 13, (14 - 6) // 2 + 1 = 5, 5 - 5 + 1 = 1.
SHAPES = {
    "A": [(28, 28, 64), (12, 12, 64), (128,), (10,)],
    "B": [(14, 14, 64), (5, 5, 128), (1, 1, 128), (10,)],
    "C": [(28, 28, 128), (13, 13, 64), (128,), (10,)],
    "D": [(200,), (200,), (10,)],
    "E": [(200,), (200,), (10,)],
}
FULLY_CONNECTED = 785 * 200 + 201 * 200 + 201 * 10
PARAMETERS = {
    "A": (25 + 1) * 64 + (25 * 64 + 1) * 64 + (12 * 12 * 64 + 1) * 128 + 129 * 10,
    "B": (64 + 1) * 64 + (36 * 64 + 1) * 128 + (25 * 128 + 1) * 128 + 129 * 10,
    "C": (9 + 1) * 128 + (9 * 128 + 1) * 64 + (13 * 13 * 64 + 1) * 128 + 129 * 10,
    "D": FULLY_CONNECTED,
    "E": FULLY_CONNECTED,
}
# Which rates act, and on how many values of an image.
DROPPED = {
    "A": [(0.25, 9216), (0.5, 128)],
    "B": [(0.2, 784), (0.5, 128)],
    "C": [(0.25, 10816), (0.5, 128)],
    "D": [(0.5, 200), (0.5, 200)],
    "E": [],
}


@pytest.mark.parametrize("letter", LETTERS)
def test_shapes_and_parameters_by_hand(models, letter):
    x, shapes = tf.constant(IMAGES), []
    for layer in models[letter].layers_in_order:
        x = layer(x)
        if layer.weights:
            shapes.append(tuple(x.shape[1:]))
    assert shapes == SHAPES[letter]
    assert models[letter].count_params() == PARAMETERS[letter]


@pytest.mark.parametrize("letter", "DE")
def test_logits_by_hand(models, letter):
    values = IMAGES.reshape(5, -1)
    weights = models[letter].get_weights()
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        values = values @ kernel + bias
        values = np.maximum(values, 0) if len(bias) > 10 else values
    assert values.min() < 0
    np.testing.assert_allclose(models[letter](IMAGES), values, atol=1e-5)


@pytest.mark.parametrize("letter", LETTERS)
def test_dropout_has_the_rates_of_the_table_where_the_table_has_them(models, letter, monkeypatch):
    calls = []
    drop = tf.nn.experimental.stateless_dropout

    def watched(values, rate, seed, rng_alg):
        dropped = drop(values, rate=rate, seed=seed, rng_alg=rng_alg)
        calls.append(
            (
                rate,
                np.prod(values.shape[1:]),
                np.asarray(values),
                dropped.numpy(),
                tuple(seed.numpy()),
            )
        )
        return dropped

    monkeypatch.setattr(tf.nn.experimental, "stateless_dropout", watched)
    models[letter].logits(IMAGES)
    assert calls == []
    models[letter].logits(IMAGES, SEED)
    assert [call[:2] for call in calls] == DROPPED[letter]
    assert len({call[4] for call in calls}) == len(calls)  # no two places share a seed
    for rate, _, before, after, _ in calls:
        kept = after[before > 0] / before[before > 0]
        np.testing.assert_allclose(kept[kept > 0], 1 / (1 - rate), rtol=1e-5)
        assert abs(np.mean(kept > 0) - (1 - rate)) < 0.15


@pytest.mark.parametrize("letter", LETTERS)
def test_dropout_is_off_without_a_seed_and_the_same_for_the_same_seed(models, letter):
    model = models[letter]
    plain = model(IMAGES).numpy()
    np.testing.assert_array_equal(model(IMAGES, training=True).numpy(), plain)
    first, again, other = (
        model.logits(IMAGES, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert np.allclose(first, plain) == np.allclose(first, other) == (letter == "E")
    none = build_classifier(f"substitute_{letter.lower()}", 0.0, "float32")
    none.set_weights(model.get_weights())
    np.testing.assert_array_equal(none.logits(IMAGES, SEED).numpy(), plain)


@pytest.mark.parametrize("letter", LETTERS)
def test_save_and_load_gives_the_same_bits(models, letter, tmp_path):
    models[letter].save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras", compile=False, safe_mode=True)
    assert type(loaded) is SubstituteClassifier and loaded.architecture == letter
    np.testing.assert_array_equal(loaded(IMAGES).numpy(), models[letter](IMAGES).numpy())
    np.testing.assert_array_equal(loaded.logits(IMAGES, SEED), models[letter].logits(IMAGES, SEED))


@pytest.mark.parametrize("letter", LETTERS)
def test_mixed_precision_gives_float32_logits_from_float32_weights(models, letter):
    """As an attack takes a classifier into another precision: from its configuration and its
    weights.
    """
    mixed = type(models[letter]).from_config(
        {**models[letter].get_config(), "dtype": "mixed_bfloat16"}
    )
    mixed.set_weights(models[letter].get_weights())
    assert {layer.compute_dtype for layer in mixed.layers_in_order} == {"bfloat16"}
    assert mixed(IMAGES).dtype == mixed.logits(IMAGES, SEED).dtype == tf.float32
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert 0 < np.abs(mixed(IMAGES).numpy() - models[letter](IMAGES).numpy()).max() < 0.1


def test_the_registry_makes_every_architecture():
    assert list(CLASSIFIERS) == ["table6", *(f"substitute_{letter.lower()}" for letter in LETTERS)]
    for letter in LETTERS:
        made = CLASSIFIERS[f"substitute_{letter.lower()}"](dropout=0.1, dtype="mixed_bfloat16")
        assert isinstance(made, SubstituteClassifier) and made.architecture == letter
        assert made.dropout == 0.1 and made.dtype_policy.name == "mixed_bfloat16"


def test_an_unknown_architecture_is_refused():
    with pytest.raises(UserError, match="Unknown substitute 'F'.*A, B, C, D, E"):
        SubstituteClassifier("F")


def test_the_trainer_trains_and_checkpoints_one(tmp_path):
    keras.utils.set_random_seed(1)
    trainer = ClassifierTrainer(
        build_classifier("substitute_b", 0.5, "float32"), max_shift=0, seed=2
    )
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3))
    trainer.optimizer.build(trainer.trainable_variables)
    batch = {"x": tf.constant(IMAGES), "label": tf.constant([0, 1, 2, 3, 4], tf.int64)}
    before = float(trainer.test_step(batch)["loss"])
    for _ in range(20):
        trainer.train_step(batch)
    assert float(trainer.test_step(batch)["loss"]) < 0.5 * before
    checkpoint = tf.train.Checkpoint(trainer=trainer, optimizer=trainer.optimizer)
    path = checkpoint.save(str(tmp_path / "checkpoint"))
    trained = trainer.classifier(IMAGES).numpy()
    for weight in trainer.weights:
        weight.assign(tf.zeros(weight.shape))
    checkpoint.restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(trainer.classifier(IMAGES).numpy(), trained)
