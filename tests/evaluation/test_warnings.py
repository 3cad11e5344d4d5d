"""What an evaluation says of itself: systems whose figures would be wrong without a word, each with
its right value or its warning.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.gradient import FGSM, NoAttack
from madvae_tf.attacks.square import Square
from madvae_tf.evaluation import Suite, Trial, evaluate
from madvae_tf.utils.errors import UserError

# On a linear system one step does what any attack can.
ONE_STEP = Suite("own", (Trial("fgsm", FGSM(epsilon=0.08)),))
NOTHING = Suite("own", (Trial("none", NoAttack()),))


def warned(found, part):
    """The warnings with `part`; every warning stands in the summary, the JSON, the HTML and,
    counted, in the repr.
    """
    for warning in found.warnings:
        assert f"warning: {warning}" in found.summary()
    assert json.loads(found.to_json())["warnings"] == list(found.warnings)
    assert ("warnings: see .summary()" in repr(found)) == bool(found.warnings)
    return [warning for warning in found.warnings if part in warning]


def run(line, logits, suite, **options):
    return evaluate(
        logits, line.images, line.labels, [suite], batch_size=6, progress=False, **options
    )


def rounded(line):
    """A system whose gradient is 0 wherever it has one: the same answers for images of whole
    hundredths.
    """
    return lambda x: line.logits(tf.round(x * 100) / 100)


@pytest.mark.parametrize(
    "front",
    [
        tf.stop_gradient,
        lambda x: tf.round(x * 100) / 100,
        lambda x: tf.ensure_shape(tf.numpy_function(lambda v: v, [x], tf.float32), x.shape),
    ],
    ids=["stop_gradient", "rounding", "numpy"],
)
def test_no_gradient_is_said(line, front):
    """Every gradient attack leaves the clean accuracy, 5 of 6, where the same system with its
    gradient keeps 2.
    """
    found = run(line, lambda x: line.logits(front(x)), ONE_STEP)
    assert found.worst.sum() == 5
    assert warned(found, "gradients vanish: exactly 0 at 1.0000 of the images")
    quiet = run(line, line.logits, ONE_STEP)
    assert quiet.worst.sum() == 2 and not quiet.warnings


def test_an_attack_without_gradients_that_beats_those_with_one_is_said(line):
    square = Trial("square", Square(epsilon=0.08, queries=60))
    suite = Suite("own", (*ONE_STEP.trials, square))
    found = run(line, rounded(line), suite)
    assert found.robust("square").sum() < found.robust("fgsm").sum() == 5
    assert warned(found, "black-box beats white-box: Square fools")
    assert not warned(run(line, line.logits, suite), "black-box")


def test_images_that_come_back_unchanged_are_said(line, tmp_path):
    """FGSM has no random start: without a gradient the image is what it was. What was found is said
    again where the call goes on from a folder.
    """
    for _ in range(2):
        found = run(line, rounded(line), ONE_STEP, folder=tmp_path)
        assert warned(found, "images come back unchanged: fgsm leaves 1.0000")
    assert len(list(tmp_path.iterdir())) == 1
    assert not warned(run(line, line.logits, ONE_STEP), "unchanged")


def test_a_very_sure_system_falls_as_the_same_one_that_is_not(line):
    """The right value: logits times a number are the same classifier, which keeps images 2 and 3
    (`Line`).
    """
    suite = Suite("own", (*ONE_STEP.trials, Trial("apgd", APGD(epsilon=0.08, iterations=5))))
    found = run(line, lambda x: 1e4 * line.logits(x), suite)
    for outcome in found.outcomes:
        np.testing.assert_array_equal(outcome.robust, [0, 0, 1, 1, 0, 0])
    assert not found.warnings


@pytest.mark.parametrize("factor", [0.99, 1.002])
def test_what_is_nearly_a_softmax_is_attacked_by_its_logarithm(line, factor):
    found = run(line, lambda x: factor * tf.nn.softmax(200 * line.logits(x)), ONE_STEP)
    np.testing.assert_array_equal(found.worst, [0, 0, 1, 1, 0, 0])
    assert warned(found, "read as probabilities, and attacked is their logarithm")


class Augmented(keras.Model):
    """Augmentation inside, and a call that knows nothing of training."""

    def __init__(self, line):
        super().__init__()
        self.front = keras.Sequential([keras.layers.RandomBrightness(1.0, value_range=(0, 1))])
        self.line = line

    def call(self, inputs):
        return self.line.logits(self.front(inputs))


def test_keras_models_are_called_for_inference_wherever_they_stand(line):
    """As the system, in a DefendedModel, as what is attacked instead, and as one of `targets`: the
    figures of the model without its augmentation.
    """
    model = Augmented(line)
    straight = Suite("own", (Trial("fgsm", FGSM(epsilon=0.08), "straight_through"),))
    for given, suite, options in (
        (model, ONE_STEP, {}),
        (DefendedModel(model), ONE_STEP, {}),
        (line.logits, ONE_STEP, {"target": DefendedModel(model)}),
        (line.logits, straight, {"targets": {"straight_through": DefendedModel(model)}}),
    ):
        found = run(line, given, suite, **options)
        np.testing.assert_array_equal(found.clean, [1, 1, 1, 1, 1, 0])
        np.testing.assert_array_equal(found.worst, [0, 0, 1, 1, 0, 0])
        assert not found.warnings


def noisy(line, size=0.3):
    """Each image brightened or darkened anew at every asking."""
    return lambda x: line.logits(x + size * tf.random.normal([tf.shape(x)[0], 1, 1, 1]))


def test_a_system_that_draws_is_said_and_goes_on_from_its_folder(line, tmp_path):
    tf.random.set_seed(0)
    found = run(line, noisy(line), ONE_STEP, folder=tmp_path)
    assert warned(found, "answers one image differently each time")
    # The same again: the finished trial is read, and nothing piles up. Another system has a file of
    # its own.
    again = run(line, noisy(line), ONE_STEP, folder=tmp_path)
    np.testing.assert_array_equal(again.robust("fgsm"), found.robust("fgsm"))
    assert len(list(tmp_path.iterdir())) == 1
    run(line, noisy(line, 0.2), ONE_STEP, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_draws_and_repeats(line):
    """Noise of 0.3 hides what 0.08 does: asked 30 times, no image near the boundary is right each
    time; the mean of many draws has the quiet system's gradient.
    """
    tf.random.set_seed(1)
    found = run(line, noisy(line), NOTHING, repeats=30)
    assert not found.clean[[0, 1, 4, 5]].any()
    assert warned(found, "right where it is right in 30 askings")
    averaged = run(line, noisy(line, 1e-3), ONE_STEP, draws=64)
    np.testing.assert_array_equal(averaged.worst, [0, 0, 1, 1, 0, 0])
    for name in ("draws", "repeats"):
        with pytest.raises(UserError, match=f"Invalid {name}: received 0"):
            run(line, line.logits, NOTHING, **{name: 0})


def test_an_answer_that_depends_on_the_batch_is_said(line):
    found = run(
        line,
        lambda x: line.logits(
            x - 0.1 * tf.reduce_mean(tf.cumsum(x, axis=0), axis=[1, 2, 3], keepdims=True)
        ),
        NOTHING,
    )
    assert warned(found, "depends on the images beside it")


def test_a_system_near_chance_is_said(line):
    images, labels = np.tile(line.images, (10, 1, 1, 1)), np.full(60, 7)
    found = evaluate(line.logits, images, labels, [NOTHING], progress=False)
    assert warned(found, "without an attack 0.0000 of the images are right")


def test_one_line_for_what_is_no_system_or_suite(line):
    two = lambda x: (line.logits(x), x)  # noqa: E731
    pair = [keras.Input((28, 28, 1)), keras.Input((28, 28, 1))]
    inputs = keras.Model(
        pair, keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Add()(pair)))
    )
    for given, options, message in (
        (two, {}, "it gives 2 outputs"),
        (inputs, {}, "it takes 2 inputs"),
        (lambda x: {"a": line.logits(x), "b": x}, {}, r"it gives 2 outputs \(a, b\)"),
        (lambda x: np.asarray(x)[:, :10, 0, 0], {}, "TensorFlow's operations in place of NumPy's"),
        (lambda x: line.logits(x) * float("nan"), {}, "for 6 of 6 clean images"),
        (line.logits, {"batch_size": 0}, "Invalid batch_size: received 0"),
        (line.logits, {"seed": -1}, "Invalid seed: received -1"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            evaluate(given, line.images, line.labels, [NOTHING], **{"progress": False, **options})
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="received 'gradient' among them, expected a Suite"):
        evaluate(line.logits, line.images, line.labels, ["gradient"], progress=False)


def test_near_neighbours_pass(line, tmp_path):
    """A suite by itself, one output in a dict, labels in a column, numbers of NumPy's, a signature
    as it is loaded.
    """
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    labels = model.predict(line.images, verbose=0).argmax(axis=1)
    for given, own in (
        (lambda x: {"logits": line.logits(x)}, line.labels),
        (loaded.signatures["serving_default"], labels),
        (loaded.serve, labels),
    ):
        found = evaluate(
            given,
            line.images,
            own[:, None],
            NOTHING,
            seed=np.int64(3),
            batch_size=np.int32(4),
            folder=tmp_path / "trials",
            progress=False,
        )
        assert found.clean[:5].all()


def test_a_gradient_that_is_not_finite_is_said(line):
    """A square root has an infinite slope at 0, here the same for all classes: no answer changes,
    and no class gains.
    """
    images = line.images.copy()
    images[:, 0, 0] = 0.0
    labels = np.asarray(line.logits(tf.constant(images))).argmax(axis=1)

    def rooted(x):
        return line.logits(x) + 1e-3 * tf.reduce_sum(tf.sqrt(x), axis=(1, 2, 3))[:, None]

    for logits, broken in ((rooted, True), (line.logits, False)):
        found = evaluate(logits, images, labels, [ONE_STEP], batch_size=6, progress=False)
        said = warned(found, "gradients are NaN or infinite at 1.0000 of the images")
        assert bool(said) == broken


def test_a_system_that_optimises_while_it_answers_is_said(line):
    """It walks from grey to the image, which is what it then judges."""

    def searching(x):
        z = tf.fill(tf.shape(x), 0.5)
        for _ in tf.range(3):
            with tf.GradientTape() as tape:
                tape.watch(z)
                loss = tf.reduce_sum(tf.square(z - x))
            z = z - 0.5 * tape.gradient(loss, z)
        return line.logits(z)

    found = run(line, searching, ONE_STEP)
    plain = run(line, line.logits, ONE_STEP)
    np.testing.assert_array_equal(found.worst, plain.worst)
    assert warned(found, "the system optimises while it answers")
    assert not plain.warnings
