"""The playground: its logic on small exports against values by hand."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.export.saved_model import export_classifier
from madvae_tf.models.external_classifier import adapt
from madvae_tf.playground.session import Session, from_drawing, sample_images
from madvae_tf.utils.errors import UserError
from tests.playground.linear import WEIGHTS, softmax

IMAGE = np.random.default_rng(2).uniform(0.2, 0.8, (28, 28, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def session(world):
    return Session(world[0] / "export")


def test_oblivious_attack_follows_the_classifier_alone(session, world):
    outcome = session.run(IMAGE, "fgsm", 0.1, "oblivious", "combined")
    shares = softmax(IMAGE)
    assert outcome.clean.label == shares.argmax()
    np.testing.assert_allclose(outcome.clean.probabilities, shares, rtol=1e-3, atol=1e-6)
    # The gradient of the cross-entropy of a linear classifier: W (p - onehot).
    gradient = WEIGHTS @ (shares - np.eye(10)[shares.argmax()])
    expected = np.clip(IMAGE + 0.1 * np.sign(gradient).reshape(28, 28, 1), 0, 1)
    np.testing.assert_allclose(outcome.adversarial.image, expected, atol=1e-6)
    np.testing.assert_allclose(
        outcome.adversarial.probabilities, softmax(expected), rtol=1e-3, atol=1e-6
    )
    assert outcome.linf == pytest.approx(0.1, abs=1e-6)
    assert outcome.l2 == pytest.approx(np.linalg.norm(expected - IMAGE), rel=1e-5)
    purified = world[2](expected[None]).numpy()[0]
    np.testing.assert_allclose(outcome.purified.image, purified, atol=1e-5)
    np.testing.assert_allclose(
        outcome.purified.probabilities, softmax(purified), rtol=1e-3, atol=1e-5
    )
    assert (
        "(oblivious)" in outcome.summary() and f"says {outcome.purified.label}" in outcome.summary()
    )


def test_end_to_end_attack_goes_through_the_purifier(session, world):
    _, classifier, purifier = world
    outcome = session.run(IMAGE, "fgsm", 0.1, "end_to_end", "combined")
    x = tf.constant(IMAGE[None])
    label = np.asarray(classifier(purifier(x))).argmax(axis=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.convert_to_tensor(classifier(purifier(x)))
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
    gradient = tape.gradient(loss, x).numpy()[0]
    sure = np.abs(gradient) > 1e-6
    expected = np.clip(IMAGE + 0.1 * np.sign(gradient), 0, 1)
    assert sure.mean() > 0.5
    np.testing.assert_allclose(outcome.adversarial.image[sure], expected[sure], atol=1e-6)
    other = session.run(IMAGE, "fgsm", 0.1, "oblivious", "combined")
    assert np.abs(other.adversarial.image - outcome.adversarial.image).max() == pytest.approx(
        0.2, abs=1e-5
    )
    assert "(end to end)" in outcome.summary()


@pytest.mark.parametrize("attack", ["rand_fgsm", "pgd", "mi_fgsm"])
@pytest.mark.parametrize("epsilon", [0.02, 0.2])
def test_every_attack_keeps_its_budget_and_its_seed(session, attack, epsilon):
    one, two = (session.run(IMAGE, attack, epsilon, "oblivious", "combined") for _ in range(2))
    assert 0.5 * epsilon < one.linf <= epsilon + 1e-6
    np.testing.assert_array_equal(one.adversarial.image, two.adversarial.image)


def test_a_drawing_is_laid_out_as_mnist_lays_out_its_digits():
    ink = np.zeros((280, 280))
    ink[20:220, 40:60] = 1.0
    ink[200:220, 40:120] = 1.0
    image = from_drawing(ink)[..., 0]
    rows, columns = np.nonzero(image > 0.3)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (20, 8)
    centre = [(image * place).sum() / image.sum() for place in np.mgrid[0:28, 0:28]]
    np.testing.assert_allclose(centre, 13.5, atol=0.51)
    # The stroke is two pixels wide, of full strength.
    assert image.max() > 0.95 and image.shape == (28, 28)
    assert image[rows.min() + 5 : rows.min() + 10].sum(axis=1) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": "fgms"}, "Unknown attack 'fgms'. Did you mean 'fgsm'"),
        ({"threat_model": "white"}, "Unknown threat model 'white'"),
        ({"variant": "cls"}, "Unknown variant 'cls'.*combined"),
        ({"epsilon": 1.5}, "epsilon: received 1.5"),
        ({"image": IMAGE * 255}, "expected \\[0, 1\\]"),
    ],
)
def test_what_cannot_be_attacked_is_refused(session, change, message):
    good = {
        "image": IMAGE,
        "attack": "fgsm",
        "epsilon": 0.1,
        "threat_model": "oblivious",
        "variant": "combined",
    }
    with pytest.raises(UserError, match=message):
        session.run(**good | change)


def test_empty_drawing_missing_exports_and_missing_test_images(tmp_path):
    with pytest.raises(UserError, match="Nothing is drawn"):
        from_drawing(np.zeros((280, 280)))
    with pytest.raises(UserError, match="No exported classifier and purifier .* --stage=export"):
        Session(tmp_path)
    assert sample_images(tmp_path) == []


def test_exports_for_other_images_are_refused_before_a_page_is_shown(session, tmp_path):
    session.check()
    shape = (32, 32, 3)
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(10)]
    export_classifier(
        tmp_path / "classifier", adapt(keras.Sequential(layers), np.zeros((2, *shape), np.float32))
    )
    # Of a variant no more than its name is looked at.
    (tmp_path / "combined").mkdir()
    (tmp_path / "combined" / "saved_model.pb").touch()
    with pytest.raises(UserError, match=r"shape \(32, 32, 3\).*\(28, 28, 1\).*madvae-purify"):
        Session(tmp_path).check()


def test_without_gradio_the_command_says_how_to_get_it(world):
    code = (
        "import sys; sys.modules['gradio'] = None; sys.argv = ['playground', sys.argv[1]]\n"
        "import runpy; runpy.run_module('madvae_tf.playground', run_name='__main__')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, f"--workdir={world[0]}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: The playground needs the package gradio: pip install")
