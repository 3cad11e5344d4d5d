"""Whatever people have is evaluated as the model that it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import FGSM, DefendedModel
from madvae_tf.evaluation import Suite, System, Trial, evaluate
from madvae_tf.evaluation.systems import system_of
from madvae_tf.utils.errors import UserError

ONE = Suite("own", (Trial("fgsm", FGSM(epsilon=0.01)),))
WEIGHTS = 0.2 * np.random.default_rng(1).standard_normal((784, 10)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
# Labels that the model's logits give most images, by hand.
LOGITS = IMAGES.reshape(40, 784) / 255.0 @ WEIGHTS.astype(np.float64)
LABELS = np.where(np.arange(40) % 4 == 0, LOGITS.argmin(axis=1), LOGITS.argmax(axis=1))


def network(*first, activation="softmax"):
    layers = [
        keras.Input((28, 28, 1)),
        *first,
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation=activation),
    ]
    model = keras.Sequential(layers)
    model.layers[-1].set_weights([WEIGHTS, np.zeros(10, np.float32)])
    return model


def fgsm_by_hand():
    """Who stays right, where the step goes along the sign of the cross-entropy's gradient in
    float64.
    """
    x = IMAGES.reshape(40, 784) / 255.0
    shares = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    gradient = (shares - np.eye(10)[LABELS]) @ WEIGHTS.T.astype(np.float64)
    moved = np.clip(x + 0.01 * np.sign(gradient), 0, 1) @ WEIGHTS.astype(np.float64)
    return (LOGITS.argmax(axis=1) == LABELS) & (moved.argmax(axis=1) == LABELS)


@pytest.mark.parametrize(
    "kind", ["keras", "augmented", "saved_model", "file", "function", "probabilities", "defense"]
)
def test_the_same_model_in_any_form(kind, tmp_path):
    model = network()
    if kind == "augmented":
        given = network(keras.layers.RandomTranslation(0.3, 0.3), keras.layers.Dropout(0.9))
    elif kind == "saved_model":
        model.export(tmp_path / "model", verbose=False)
        given = str(tmp_path / "model")
    elif kind == "file":
        model.save(tmp_path / "model.keras")
        given = tmp_path / "model.keras"
    elif kind in ("function", "probabilities"):
        end = tf.nn.softmax if kind == "probabilities" else tf.identity
        given = lambda x: end(tf.reshape(x, (-1, 784)) @ WEIGHTS)  # noqa: E731
    elif kind == "defense":
        given = type(
            "Own",
            (),
            {"system": lambda _: System(DefendedModel(network(activation=None)), name="own")},
        )()
    else:
        given = model
    found = evaluate(given, IMAGES, LABELS, ONE, progress=False)
    np.testing.assert_array_equal(found.clean, np.arange(40) % 4 != 0)
    np.testing.assert_array_equal(found.worst, fgsm_by_hand())
    assert 0 < found.worst.sum() < 30 and found.threat_model == "end_to_end"
    # What cannot be seen through is attacked by the logarithm, and the result says so.
    assert any("logarithm" in each for each in found.warnings) == (
        kind in ("saved_model", "probabilities")
    )
    assert any("logarithm" in line for line in found.summary().splitlines()) == bool(found.warnings)


def test_another_target_is_a_transfer_attack():
    found = evaluate(
        network(),
        IMAGES,
        LABELS,
        ONE,
        target=DefendedModel(lambda x: -tf.reshape(x, (-1, 784)) @ WEIGHTS),
        progress=False,
    )
    assert found.threat_model == "transfer"


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (3, {}, "Invalid model: received int, expected what madvae_tf.fit"),
        (
            "no/such/folder",
            {},
            (
                "'no/such/folder': there is nothing; expected a .keras file or the folder of a"
                " SavedModel"
            ),
        ),
        (network, {"threat": "l3:1"}, "Invalid threat: received 'l3:1'"),
        (network, {"preset": "fastest"}, "Unknown preset 'fastest'"),
        (network, {"suites": [ONE], "threat": "l2:1"}, "received suites and a threat or preset"),
    ],
)
def test_mistakes_get_one_line(model, options, words):
    given = network() if model is network else model
    with pytest.raises(UserError, match=words) as caught:
        evaluate(given, IMAGES, LABELS, progress=False, **options)
    assert "\n" not in str(caught.value)


def test_a_class_is_no_model():
    with pytest.raises(UserError, match="Invalid model: received type"):
        system_of(System, IMAGES / np.float32(255))
