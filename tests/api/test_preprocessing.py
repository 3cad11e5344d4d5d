"""A classifier that wants other numbers than images in [0, 1]: the same figures as the classifier
of such images, saved, exported and attacked; epsilon in the user's units.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import FGSM, DefendedModel, NoAttack, run_attack
from madvae_tf.evaluation import Suite, Trial
from madvae_tf.export.saved_model import export_classifier
from madvae_tf.models.external_classifier import adapt, load_classifier_file
from madvae_tf.models.preprocessing import Preprocessing, preprocessing_of
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(3)
SHAPE = (8, 9, 3)
X = RNG.random((12, *SHAPE), np.float32)
MEAN, STD = (0.48, 0.45, 0.4), (0.23, 0.22, 0.25)
# What each form makes of images in [0, 1], by hand.
FORMS = [
    ("0..255", lambda x: 255 * x),
    ("-1..1", lambda x: 2 * x - 1),
    ((MEAN, STD), lambda x: (x - np.array(MEAN)) / np.array(STD)),
    ({"mean": 0.5, "std": 0.25}, lambda x: 4 * x - 2),
    ({"range": "0..255", "mean": [104, 117, 124]}, lambda x: 255 * x - np.array([104, 117, 124])),
    ("channels_first", lambda x: np.moveaxis(x, -1, 1)),
    (
        {"range": "-1..1", "channels_first": True},
        lambda x: np.moveaxis(2 * x - 1, -1, 1),
    ),
    ("0..255 mean=1,2,3 std=2", lambda x: (255 * x - np.array([1, 2, 3])) / 2),
    (lambda x: 1 - x, lambda x: 1 - x),
    (keras.layers.Rescaling(3.0, offset=0.5), lambda x: 3 * x + 0.5),
]
IDS = [str(form)[:24] for form, _ in FORMS]


def classifier_of(shape, activation=None):
    """A linear Keras classifier of inputs of this shape."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation=activation),
        ]
    )
    rng = np.random.default_rng(7)
    weights = 0.05 * rng.standard_normal((int(np.prod(shape)), 10)).astype(np.float32)
    model.set_weights([weights, rng.standard_normal(10).astype(np.float32)])
    return model


@pytest.mark.parametrize(("form", "by_hand"), FORMS, ids=IDS)
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_logits_are_those_of_what_the_classifier_wants(form, by_hand, activation):
    wanted = by_hand(X.astype(np.float64)).astype(np.float32)
    model, logits = classifier_of(wanted.shape[1:], activation), classifier_of(wanted.shape[1:])
    adapted = adapt(model, X, preprocessing=form)
    assert adapted.outputs == ("probabilities" if activation else "logits")
    assert adapted.image_shape == SHAPE
    # Of a softmax the logits before it, which a logarithm would have cut off.
    np.testing.assert_allclose(adapted(X), logits(wanted), rtol=1e-4, atol=1e-3)
    # The gradient reaches the images.
    with tf.GradientTape() as tape:
        images = tf.constant(X)
        tape.watch(images)
        value = adapted(images)[:, 0]
    assert np.count_nonzero(tape.gradient(value, images)) > X.size / 2


@pytest.mark.parametrize("form", ["0..255", (MEAN, STD), "-1..1 channels_first"], ids=str)
def test_it_is_saved_with_the_classifier(form, tmp_path):
    first = "channels_first" in form
    model = classifier_of((3, 8, 9) if first else SHAPE)
    adapted = adapt(model, X, preprocessing=form)
    adapted.source.save(tmp_path / "classifier.keras")
    loaded = load_classifier_file(tmp_path / "classifier.keras", X)
    np.testing.assert_allclose(loaded(X), adapted(X), rtol=1e-5, atol=1e-5)
    # The file of the classifier alone, and what it wants.
    model.save(tmp_path / "alone.keras")
    again = load_classifier_file(tmp_path / "alone.keras", X, preprocessing=form)
    np.testing.assert_allclose(again(X), adapted(X), rtol=1e-5, atol=1e-5)


def test_epsilon_is_in_the_units_of_the_images():
    """FGSM on a classifier of bytes: each pixel moves by epsilon of [0, 1]."""
    model = classifier_of(SHAPE)
    y = np.asarray(model(255 * X)).argmax(1)
    target = DefendedModel(adapt(model, X, preprocessing="0..255"))
    result = run_attack(FGSM(epsilon=0.1), target, X, y, (0, 0))
    assert result.linf.max() == pytest.approx(0.1, abs=1e-6)
    assert np.abs(result.x_adv - X).max() > 0.099
    direct = run_attack(FGSM(epsilon=0.1), DefendedModel(lambda x: model(255 * x)), X, y, (0, 0))
    np.testing.assert_array_equal(result.x_adv, direct.x_adv)


def test_evaluate_takes_it_of_models_functions_and_files(tmp_path):
    model = classifier_of(SHAPE)
    model.save(tmp_path / "model.keras")
    y = np.asarray(model(255 * X)).argmax(1)
    epsilon = 0.003
    suites = [Suite("s", (Trial("fgsm", FGSM(epsilon=epsilon)),))]
    # One step by hand: up the cross-entropy of softmax(W 255 x + b).
    weights, bias = (value.astype(np.float64) for value in model.get_weights())
    flat = X.reshape(len(X), -1).astype(np.float64)
    logits = 255 * flat @ weights + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    slope = (shares / shares.sum(1, keepdims=True) - np.eye(10)[y]) @ weights.T
    moved = np.clip(flat + epsilon * np.sign(slope), 0, 1)
    right = (255 * moved @ weights + bias).argmax(1) == y
    assert 0 < right.sum() < len(X)
    for given in (model, lambda x: model(x), tmp_path / "model.keras"):
        found = madvae_tf.evaluate(
            given, X, y, suites=suites, progress=False, preprocessing="0..255"
        )
        assert found.clean.all()
        np.testing.assert_array_equal(found.worst, right)


def test_fit_saves_and_exports_the_preprocessing_with_the_classifier(tmp_path):
    model = classifier_of(SHAPE, "softmax")
    y = np.asarray(model(2 * X - 1)).argmax(1)
    options = {"epochs": 1, "latent_size": 2, "attacks": [NoAttack()], "cw_iterations": 1}
    defense = madvae_tf.fit(
        model, X, y, preprocessing="-1..1", precision="float32", verbose=0, **options
    )
    assert defense.info["classifier_validation_accuracy"] == 1.0
    expected = np.asarray(model(2 * defense.purify(X) - 1))
    np.testing.assert_allclose(defense.predict_proba(X), expected, atol=1e-5)
    defense.save(tmp_path / "defense")
    loaded = madvae_tf.load(tmp_path / "defense")
    np.testing.assert_allclose(loaded.predict_proba(X), expected, atol=1e-5)
    given = madvae_tf.load(tmp_path / "defense", model, preprocessing="-1..1")
    np.testing.assert_allclose(given.predict_proba(X), expected, atol=1e-5)
    defense.export(tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["classify"](tf.constant(X))
    assert any(
        np.allclose(value, expected, atol=1e-5)
        for value in served.values()
        if value.shape == expected.shape
    )
    with pytest.raises(UserError, match="preprocessing.* without a classifier"):
        madvae_tf.load(tmp_path / "defense", preprocessing="-1..1")


def test_a_saved_model_behind_a_function_is_exported_again(tmp_path):
    """What the function and the folder hold is in the export, too."""
    model, dense = classifier_of(SHAPE), keras.layers.Dense(3)
    model.export(tmp_path / "model", verbose=False)
    dense.build((None, 3))
    adapted = load_classifier_file(tmp_path / "model", X, preprocessing=dense)
    expected = model(dense(X))
    np.testing.assert_allclose(adapted(X), expected, rtol=1e-4, atol=1e-4)
    export_classifier(tmp_path / "export", adapted)
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["logits"](tf.constant(X))
    (logits,) = served.values()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            "0-255",
            "of which '0-255' is no part known; expected one of \"0..255\"",
        ),
        ({"range": "0..2"}, "received the range '0..2', expected one of 0..1, 0..255, -1..1"),
        ({"scale": 2}, "received the entry 'scale', expected range, mean, std, channels_first"),
        ((0.5, 0.0), "received std 0.0, expected numbers above 0"),
        (([0.5, 0.5], 1.0), "received 2 numbers as mean, expected one, or one for each channel"),
        (("a", 1.0), "received mean 'a', expected a finite number"),
        (255, "received 255, expected one of"),
    ],
)
def test_what_is_no_preprocessing(form, message):
    with pytest.raises(UserError, match="Invalid preprocessing: ") as caught:
        adapt(classifier_of(SHAPE), X, preprocessing=form)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_mistakes_that_name_preprocessing():
    model = classifier_of(SHAPE)
    for images, way_out in ((2 * X - 1, "'-1..1'"), ((X - 0.5) / 0.2, r"\(mean, std\)")):
        with pytest.raises(UserError, match=f"pass preprocessing={way_out} for it"):
            madvae_tf.fit(model, images, np.zeros(len(X), int))
    with pytest.raises(UserError, match='pass preprocessing="channels_first"'):
        adapt(classifier_of((3, 8, 9)), X)
    with pytest.raises(UserError, match=r"takes images \(9, 8, 3\), received \(8, 9, 3\)"):
        adapt(classifier_of((9, 8, 3)), X)
    with pytest.raises(UserError, match="was adapted already"):
        adapt(adapt(model, X), X, preprocessing="0..255")
    with pytest.raises(UserError, match="takes images in .* as to madvae_tf.fit"):
        madvae_tf.evaluate(
            DefendedModel(model), X, np.zeros(len(X), int), preprocessing="0..255", progress=False
        )


def test_a_classifier_of_two_inputs():
    images, scale = keras.Input(SHAPE, name="images"), keras.Input((1,), name="scale")
    values = keras.layers.Dense(10)(keras.layers.Flatten()(images)) * scale
    model = keras.Model([images, scale], values)
    with pytest.raises(UserError, match=r"takes 2 inputs \(images, scale\).*with preprocessing"):
        adapt(model, X)
    adapted = adapt(model, X, preprocessing=lambda x: [x, tf.fill([tf.shape(x)[0], 1], 3.0)])
    expected = model([X, np.full((len(X), 1), 3.0, np.float32)])
    np.testing.assert_allclose(adapted(X), expected, rtol=1e-5, atol=1e-5)


def test_none_is_none_and_the_layer_says_its_configuration():
    assert preprocessing_of(None) is None and preprocessing_of("") is None
    layer = preprocessing_of("-1..1 mean=0.5 std=0.1,0.2,0.3 channels_first")
    again = Preprocessing.from_config(layer.get_config())
    np.testing.assert_allclose(
        again(X), np.moveaxis((2 * X - 1.5) / [0.1, 0.2, 0.3], -1, 1), 1e-4, 1e-5
    )
    assert again.compute_output_shape((None, *SHAPE)) == (None, 3, 8, 9)
