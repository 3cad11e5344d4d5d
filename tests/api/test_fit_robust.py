"""`fit_robust`: a purifier that is trained against attacks on itself, in one call."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.api.fitting_robust import _AVERAGE, _RAMP, _RECOMMENDED, _SQUASH
from madvae_tf.api.validation import held_out
from madvae_tf.config.overrides import load_config
from madvae_tf.data.batches import CleanImages
from madvae_tf.data.prepare import Split
from madvae_tf.defenses import robust
from madvae_tf.defenses.files import save_float32
from madvae_tf.defenses.robust import Robust
from madvae_tf.utils.budgets import NEARLY_BINARY
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import write_json
from tests.small import SmallVAE

SMALL = {"latent_size": 4, "batch_size": 8, "precision": "float32", "verbose": 0}


@pytest.fixture(scope="module")
def fitted(toy):
    """Two stages of twelve steps on 36 squares."""
    images, labels = toy.squares()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robust, "DefenseVAE", SmallVAE)
        given = (toy.as_function, images, labels)
        return madvae_tf.fit_robust(
            *given, epsilon=0.1, encoder_epochs=3, epochs=3, scale=30.0, **SMALL
        )


def test_info_says_how_it_was_made(fitted, toy):
    info, own = fitted.info, fitted.info["parameters"]
    assert (info["variant"], info["steps"], info["images"], info["validation_images"]) == (
        "robust",
        12,
        96,
        4,
    )
    images, labels = toy.squares()
    assert info["validation_accuracy"] == np.mean(fitted.predict(images[-4:]) == labels[-4:])
    # A sixth of the radius, a quarter of the steps, and an average over about ten.
    assert own["epsilon"] == 0.1 and own["start_epsilon"] == pytest.approx(0.1 / 6)
    assert own["ramp_steps"] == 3 and own["average"] == pytest.approx(1 - 10 / 12)
    assert info["encoder_images"] == 96
    assert fitted.purifier.encoder_name == "vgg"
    assert own["scale"] == 30.0 and fitted.purifier.squash is not None


def test_floats_are_the_images_that_bytes_are(toy):
    images, labels = toy.squares()
    batches = [
        CleanImages(Split(given, labels)).batch(np.arange(5))
        for given in (images, images.astype(np.float32) / 255)
    ]
    for one, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_asked_for_is_trained(toy, monkeypatch):
    """The configuration's fields come through; what depends on the number of steps follows it."""
    asked = []

    def train(self, inputs, folder):
        asked.append((self, inputs))
        save_float32(SmallVAE(self.latent_size, squash_scale=self.scale), folder / "purifier.keras")
        write_json(folder / "metrics.json", {})

    monkeypatch.setattr(Robust, "train", train)
    images, labels = toy.squares()
    given = (toy.as_function, images, labels)
    plain = madvae_tf.fit_robust(*given, epochs=5, scale=0, norm="l2", epsilon=2.0, seed=3, **SMALL)
    madvae_tf.fit_robust(*given, epochs=1, epoch_steps=20_000, ramp_steps=9, average=0.5, **SMALL)
    madvae_tf.fit_robust(*given, epochs=2, epoch_steps=10_000, **SMALL)
    (first, inputs), (second, _), (third, _) = asked
    assert plain.purifier.squash is None and (first.norm, first.epsilon, first.seed) == (
        "l2",
        2.0,
        3,
    )
    assert first.start_epsilon == pytest.approx(1 / 3) and first.ramp_steps == 5
    assert (second.ramp_steps, second.average) == (9, 0.5)
    assert (third.ramp_steps, third.average, third.late_attack_steps) == (600, 0.999, 4)
    np.testing.assert_array_equal(inputs.train.images, images[:36])
    np.testing.assert_array_equal(inputs.validation.labels, labels[36:])


def test_the_defaults_are_those_of_the_committed_configuration():
    """configs/robust.py and `fit_robust` say the same, but for how long it takes."""
    own = load_config(Path(__file__).parents[2] / "configs" / "robust.py").robust
    for name, value in {**_RECOMMENDED, "average": _AVERAGE}.items():
        assert getattr(own, name) == value, name
    assert own.scale == _SQUASH
    assert own.epsilon == NEARLY_BINARY
    assert inspect.signature(madvae_tf.fit_robust).parameters["epsilon"].default is None
    assert (own.start_epsilon, own.ramp_steps) == (pytest.approx(own.epsilon / 6), _RAMP)


def test_the_squash_is_for_images_that_are_nearly_black_and_white(toy, monkeypatch, capsys):
    """By default the images decide, and a line says what they decided."""
    asked = []

    def train(self, inputs, folder):
        asked.append(self.scale)
        save_float32(SmallVAE(self.latent_size, squash_scale=self.scale), folder / "purifier.keras")
        write_json(folder / "metrics.json", {})

    monkeypatch.setattr(Robust, "train", train)
    images, labels = toy.squares()
    binary = np.where(images > 100, 255, 0).astype(np.uint8)
    for given, options in ((images, {}), (binary, {}), (images, {"scale": 12.0})):
        options = {**SMALL, "verbose": 1, **options}
        madvae_tf.fit_robust(toy.as_function, given, labels, **options)
    assert asked == [0.0, 30.0, 12.0]
    said = [line for line in capsys.readouterr().err.splitlines() if "squash" in line]
    assert len(said) == 2 and "no squash before the encoder" in said[0]
    assert "a squash of scale 30 before the encoder, since 100% of the pixels" in said[1]


def test_it_says_how_long_it_takes(toy, monkeypatch, capsys):
    """Before it starts; with the settings of the default and as many images as MNIST has, from the
    rates by hand.
    """

    def train(self, inputs, folder):
        save_float32(SmallVAE(self.latent_size), folder / "purifier.keras")
        write_json(folder / "metrics.json", {})

    monkeypatch.setattr(Robust, "train", train)
    images, labels = toy.squares()
    asked = {
        "latent_size": 4,
        "precision": "float32",
        "validation_images": 1,
        "validation_steps": 1,
    }
    madvae_tf.fit_robust(toy.as_function, images, labels, epoch_steps=429, **asked)
    # 54,912 images: five passes at 0.65 + 4 x 0.4 fifths of 1/240 s, one at 1.5 + 4 x 0.4, twice as
    # long in float32: 21.9 minutes.
    assert "Training takes about 22 min on two CPU cores" in capsys.readouterr().err
    madvae_tf.fit_robust(toy.as_function, images, labels, epoch_steps=429, **asked, verbose=0)
    assert "min" not in capsys.readouterr().err


def test_it_comes_back_from_its_folder(fitted, toy, tmp_path):
    fitted.save(tmp_path / "defense")
    loaded = madvae_tf.load(tmp_path / "defense", toy.as_function)
    images, _ = toy.squares(12, seed=9)
    np.testing.assert_array_equal(loaded.purify(images), fitted.purify(images))
    np.testing.assert_array_equal(loaded.predict(images), fitted.predict(images))


def test_radius_and_squash_follow_the_images(toy, monkeypatch, capsys):
    """Nearly black and white images get 0.3 and a squash, other grey ones 0.1, colours 8/255."""
    asked = []

    def train(self, inputs, folder):
        asked.append((self.epsilon, self.start_epsilon, self.scale))
        raise UserError("enough")

    monkeypatch.setattr(Robust, "train", train)
    images, labels = toy.squares()
    classify = lambda x: toy.as_function(tf.reduce_mean(x, 3, keepdims=True))  # noqa: E731
    binary = np.where(images > 128, 255, 0).astype(np.uint8)
    for given in (binary, images, np.repeat(images, 3, axis=3)):
        with pytest.raises(UserError, match="enough"):
            madvae_tf.fit_robust(classify, given, labels, **{**SMALL, "verbose": 1})
    expected = [(0.3, 30.0), (0.1, 0.0), (8 / 255, 0.0)]
    assert asked == [(epsilon, epsilon / 6, scale) for epsilon, scale in expected]
    lines = capsys.readouterr().err
    assert "epsilon is 8/255 in L-infinity, which is usual for colour images." in lines
    for norm, named in (("l2", "epsilon"), ("both", "l2_epsilon")):
        with pytest.raises(UserError, match=f"Invalid {named}: received none with norm='{norm}'"):
            madvae_tf.fit_robust(classify, images, labels, norm=norm, **SMALL)


BAD = {
    "option": ({"epsilom": 0.1}, "Unknown option 'epsilom'. Did you mean 'epsilon'"),
    "image_steps": ({"image_steps": 3}, "Unknown option 'image_steps'"),
    "epsilon": ({"epsilon": 1.5}, "Invalid robust epsilon: received 1.5, expected at most 1"),
    "type": ({"epsilon": "0.1"}, "epsilon: received '0.1'"),
    "start": (
        {"epsilon": 0.1, "start_epsilon": 0.2},
        "Invalid robust start_epsilon: received 0.2, expected at most epsilon",
    ),
    "epochs": ({"epochs": 0}, "epochs: received 0"),
    "seed": ({"seed": -1}, "Invalid seed: received -1"),
    "precision": ({"precision": "float16"}, "Invalid precision: received 'float16'"),
    "split": ({"validation_split": 0.0}, "Invalid validation_split: received 0.0 of 40 images"),
    "scratch": ({"scratch": "/no/such/folder"}, "Invalid scratch"),
    "gradient": (
        {"classifier": lambda x: tf.stop_gradient(tf.reshape(x, (-1, 784))[:, :10])},
        "no gradient flows",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_bad_arguments_are_refused(toy, change, message):
    images, labels = toy.squares()
    arguments = {
        "classifier": toy.as_function,
        "images": images,
        "labels": labels,
        **SMALL,
        **change,
    }
    with pytest.raises(UserError, match=message) as caught:
        madvae_tf.fit_robust(**arguments)
    assert "\n" not in str(caught.value)


def test_fit_names_it(toy):
    with pytest.raises(UserError, match="received 'robust'.*call madvae_tf.fit_robust"):
        madvae_tf.fit(toy.as_function, *toy.squares(), variant="robust", verbose=0)


def test_a_data_set_of_tensorflow_gives_the_same_purifier(fitted, toy, monkeypatch, tmp_path):
    monkeypatch.setattr(robust, "DefenseVAE", SmallVAE)
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path))
    dataset = tf.data.Dataset.from_tensor_slices(toy.squares()).batch(7)
    again = madvae_tf.fit_robust(
        toy.as_function, dataset, epsilon=0.1, encoder_epochs=3, epochs=3, scale=30.0, **SMALL
    )
    for one, other in zip(fitted.purifier.weights, again.purifier.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fit", [madvae_tf.fit, madvae_tf.fit_robust])
def test_data_sets_without_end_and_too_few_images_are_one_line(fit, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path))
    images, labels = toy.squares()
    endless = tf.data.Dataset.from_tensor_slices((images, labels)).repeat()
    few = {"validation_split": 0.5, "verbose": 0}
    for given, message in (
        ((endless,), "received a data set without end"),
        ((images,), "Missing labels"),
        ((images[:2], labels[:2]), "Too few images: received 1 to learn from, expected at least 2"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            fit(toy.as_function, *given, **few)
        assert "\n" not in str(caught.value)


def test_images_in_the_order_of_their_classes_are_said(toy, caplog):
    images, labels = toy.squares()
    held_out(images, np.sort(labels), 0.1, None)
    assert "in the order of their classes" in caplog.text
