"""The classifier under attack: Table 6, stateless dropout, saving, precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.training.classifier import build_classifier
from madvae_tf.utils.errors import UserError

IMAGES = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(3)
    return Table6Classifier(dropout=0.5)


def test_every_layer_has_the_size_of_table_6(classifier):
    x, shapes = tf.constant(IMAGES), []
    for layer in classifier.layers_in_order.layers:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    # Unpadded 3 x 3 convolutions: 28 - 2 - 2 = 24, halved; 12 - 2 - 2 = 8, halved.
    convolutions = [(26, 26, 32), (24, 24, 32), (12, 12, 32), (10, 10, 64), (8, 8, 64), (4, 4, 64)]
    assert shapes == [*convolutions, (1024,), (200,)]
    assert classifier.hidden(x).shape == (5, 200)
    assert classifier(IMAGES).shape == (5, 10)


def test_parameters_by_hand(classifier):
    convolutions = (9 + 1) * 32 + (9 * 32 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 64
    assert (
        classifier.count_params()
        == convolutions + (1024 + 1) * 200 + (200 + 1) * 200 + (200 + 1) * 10
    )


def test_the_output_is_logits_by_hand(classifier):
    features = np.maximum(classifier.layers_in_order(IMAGES).numpy(), 0)
    kernel, bias = (np.asarray(weight) for weight in classifier.hidden.weights)
    hidden = np.maximum(features @ kernel + bias, 0)
    kernel, bias = (np.asarray(weight) for weight in classifier.output_layer.weights)
    np.testing.assert_allclose(classifier(IMAGES), hidden @ kernel + bias, atol=1e-5)


def test_dropout_only_with_a_seed_and_the_same_for_the_same_seed(classifier):
    plain = classifier(IMAGES).numpy()
    np.testing.assert_array_equal(classifier(IMAGES, training=True).numpy(), plain)
    np.testing.assert_array_equal(classifier.logits(IMAGES).numpy(), plain)
    first, again, other = (
        classifier.logits(IMAGES, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other) and not np.allclose(first, plain)
    none = build_classifier("table6", 0.0, "float32")
    np.testing.assert_array_equal(none.logits(IMAGES, tf.constant([1, 2])), none.logits(IMAGES))


def test_dropout_keeps_half_and_doubles_it(classifier, monkeypatch):
    seen = []
    monkeypatch.setattr(
        classifier, "hidden", lambda features: seen.append(features.numpy()) or features
    )
    classifier.logits(IMAGES)
    classifier.logits(IMAGES, tf.constant([1, 2]))
    active = seen[0] > 0
    kept = seen[1][active] / seen[0][active]
    assert set(np.round(kept, 5)) == {0.0, 2.0}
    assert 0.4 < kept.mean() / 2 < 0.6


def test_save_and_load_gives_the_same_bits(classifier, tmp_path):
    classifier.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras", compile=False, safe_mode=True)
    assert type(loaded) is Table6Classifier and loaded.dropout == 0.5
    np.testing.assert_array_equal(loaded(IMAGES).numpy(), classifier(IMAGES).numpy())


def test_mixed_precision_gives_float32_logits_from_float32_weights(classifier):
    mixed = build_classifier("table6", 0.5, "mixed_bfloat16")
    mixed.set_weights(classifier.get_weights())
    assert mixed(IMAGES).dtype == tf.float32 and {weight.dtype for weight in mixed.weights} == {
        "float32"
    }
    assert 0 < np.abs(mixed(IMAGES).numpy() - classifier(IMAGES).numpy()).max() < 0.02


def test_the_registry_names_the_known_ones():
    with pytest.raises(UserError, match="Unknown classifier 'table7'.*Expected one of: table6"):
        build_classifier("table7", 0.0, "float32")
