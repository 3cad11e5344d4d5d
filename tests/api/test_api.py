"""The three lines: fit, purify, save and load; and what they refuse."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import NoAttack
from madvae_tf.models.external_classifier import adapt
from madvae_tf.utils.errors import UserError

FAST = {"epochs": 1, "batch_size": 8, "latent_size": 2, "images_per_attack": 4, "cw_iterations": 2}


def test_the_classifier_is_left_as_it_was(fitted):
    _, classifier, before = fitted
    for weight, old in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert classifier.trainable and len(classifier.trainable_variables) == 2


def test_info_says_how_it_was_made(fitted, toy):
    info = json.loads(json.dumps(fitted[0].info))
    assert (info["variant"], info["seed"], info["pairs"], info["batch_size"]) == (
        "combined",
        0,
        72,
        16,
    )
    assert info["steps"] == 2 * (72 // 16)
    assert [each["name"] for each in info["attacks"]] == ["fgsm", "cw", "none"]
    images, labels = toy.squares()
    predicted = (images[-4:].reshape(4, 784) / 255) @ toy.templates()
    assert info["classifier_validation_accuracy"] == np.mean(predicted.argmax(1) == labels[-4:])


def test_results_are_those_of_the_exported_signatures(fitted, toy, tmp_path):
    defense = fitted[0]
    images, _ = toy.squares(7, seed=9)
    defense.export(tmp_path / "export")
    signatures = tf.saved_model.load(str(tmp_path / "export")).signatures
    floats = tf.constant(images / np.float32(255))
    purified = signatures["purify"](images=floats)["purified"].numpy()
    probabilities = signatures["classify"](images=floats)["probabilities"].numpy()
    assert purified.std() > 0.003
    for given in (images, floats.numpy(), floats.numpy().astype(np.float64)):
        np.testing.assert_allclose(defense.purify(given, batch_size=3), purified, atol=1e-5)
    np.testing.assert_allclose(defense.predict_proba(images), probabilities, atol=1e-5)
    np.testing.assert_array_equal(defense.predict(images), probabilities.argmax(axis=1))
    # The classifier's own word on the purified images.
    by_hand = purified.reshape(7, 784) @ toy.templates()
    np.testing.assert_allclose(probabilities, tf.nn.softmax(by_hand), atol=1e-4)
    flat = defense.purify(images[..., 0])
    assert flat.shape == (7, 28, 28) and flat.dtype == np.float32
    np.testing.assert_allclose(flat[..., None], purified, atol=1e-5)
    with pytest.raises(UserError, match="it exists"):
        defense.export(tmp_path / "export")


def test_images_go_through_in_batches(fitted, toy, monkeypatch):
    sizes = []

    def record(images):
        assert images.dtype == tf.float32
        sizes.append(len(images))
        return images

    defense = fitted[0]
    monkeypatch.setattr(defense, "_purify", record)
    images = np.broadcast_to(toy.squares(1)[0], (100_000, 28, 28, 1))
    result = defense.purify(images, batch_size=3000)
    assert max(sizes) == 3000 and sum(sizes) == 100_000
    np.testing.assert_array_equal(result[[0, -1]], images[:2] / np.float32(255))


GOOD = np.zeros((3, 28, 28, 1), np.float32)


def spoiled(value):
    images = GOOD.copy()
    images[2, 5, 5] = value
    return images


BAD_IMAGES = {
    "nan": (spoiled(np.nan), "received NaN or infinity"),
    "infinite": (spoiled(-np.inf), "received NaN or infinity"),
    "above": (spoiled(255), r"received values in \[0, 255\], expected \[0, 1\]; divide by 255"),
    "below": (spoiled(-0.5), r"received values in \[-0.5, 0\]"),
    "integers": (GOOD.astype(np.int64), "received dtype int64"),
    "text": (["a"], "received dtype"),
    "one image": (GOOD[0], "a single image is images\\[None\\]"),
    "colour": (np.zeros((2, 28, 28, 3), np.float32), r"received shape \(2, 28, 28, 3\)"),
    "none": (GOOD[:0], "received none"),
    "ragged": ([[1.0], [1.0, 2.0]], "expected an array"),
}


@pytest.mark.parametrize(("images", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_images_are_refused(fitted, images, message):
    for function in (fitted[0].purify, fitted[0].predict):
        with pytest.raises(UserError, match=message) as caught:
            function(images)
        assert "\n" not in str(caught.value)


BAD_FITS = {
    "labels' length": (
        {"labels": np.zeros(3, int)},
        "Invalid labels: received int64 of shape \\(3,\\)",
    ),
    "probabilities": ({"labels": np.full((40, 10), 0.1)}, "arg-max of probabilities"),
    "label 10": ({"labels": np.full(40, 10)}, r"received values in \[10, 10\]"),
    "variant": ({"variant": "combine"}, "Unknown variant 'combine'. Did you mean 'combined'"),
    "epochs": ({"epochs": 0}, "epochs: received 0"),
    "learning rate": ({"learning_rate": float("nan")}, "learning_rate: received nan"),
    "split": ({"validation_split": 1.0}, "Invalid validation_split: received 1.0 of 40 images"),
    "validation": ({"validation_data": 3}, "Invalid validation_data: expected a pair"),
    "attacks": ({"attacks": ["fgsm"]}, "Invalid attacks: received 'fgsm'"),
    "no attack": ({"attacks": []}, "Invalid attacks: received none"),
    "precision": ({"precision": "float16"}, "Invalid precision: received 'float16'"),
    "seed": ({"seed": -1}, "Invalid seed: received -1"),
    "size": ({"images_per_attack": 1.5}, "Invalid images_per_attack: received 1.5"),
    "scratch": ({"scratch": "/no/such/folder"}, "Invalid scratch"),
    "classifier": ({"classifier": "table6"}, "received str, expected a Keras model or a callable"),
}


@pytest.mark.parametrize(("change", "message"), BAD_FITS.values(), ids=BAD_FITS.keys())
def test_bad_arguments_of_fit_are_refused(toy, change, message):
    images, labels = toy.squares()
    arguments = {"classifier": toy.as_function, "images": images, "labels": labels, "verbose": 0}
    with pytest.raises(UserError, match=message) as caught:
        madvae_tf.fit(**{**arguments, **change})
    assert "\n" not in str(caught.value)


def test_a_saved_defence_comes_back(fitted, toy, tmp_path):
    defense, folder = fitted[0], tmp_path / "deep" / "defense"
    images, _ = toy.squares(5, seed=2)
    defense.save(folder)
    assert {path.name for path in folder.iterdir()} == {
        "purifier.keras",
        "classifier.keras",
        "defense.json",
    }
    loaded = madvae_tf.load(folder)
    np.testing.assert_array_equal(loaded.purify(images), defense.purify(images))
    np.testing.assert_array_equal(loaded.predict_proba(images), defense.predict_proba(images))
    assert loaded.info == defense.info and loaded.classifier.outputs == "probabilities"
    with pytest.raises(UserError, match="pass overwrite=True"):
        defense.save(folder)
    defense.save(folder, overwrite=True)
    (folder / "classifier.keras").write_bytes(b"other")
    with pytest.raises(UserError, match="classifier.keras is missing or has changed"):
        madvae_tf.load(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["defense"]


def test_other_folders_are_neither_loaded_nor_replaced(fitted, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="No defence in"):
        madvae_tf.load(tmp_path)
    with pytest.raises(UserError, match="it exists; choose another path"):
        fitted[0].save(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_function_as_classifier_stays_out_of_the_folder(toy, tmp_path, capsys):
    images, labels = toy.squares()
    arguments = {**FAST, "variant": "defense_vae", "precision": "float32", "verbose": 0}
    data = {"validation_data": (images[:8, ..., 0] / 255.0, labels[:8, None])}
    defense = madvae_tf.fit(
        toy.as_function,
        images[8:],
        labels[8:],
        attacks=[*toy.ATTACKS[:1], NoAttack()],
        **arguments,
        **data,
    )
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    # Of Defense-VAE's pairs none is clean.
    assert [each["name"] for each in defense.info["attacks"]] == ["fgsm"] and defense.info[
        "pairs"
    ] == 4
    defense.save(tmp_path / "defense")
    assert not (tmp_path / "defense" / "classifier.keras").exists()
    loaded = madvae_tf.load(tmp_path / "defense")
    np.testing.assert_array_equal(loaded.purify(images), defense.purify(images))
    with pytest.raises(UserError, match="has no classifier.*madvae_tf.load"):
        loaded.predict(images)
    again = madvae_tf.load(tmp_path / "defense", toy.as_function)
    np.testing.assert_array_equal(again.predict(images), defense.predict(images))


def test_a_classifier_with_python_code_in_it_is_not_saved(fitted, toy, tmp_path):
    unsafe = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Lambda(lambda images: images * 1.0), toy.linear()]
    )
    probe = np.zeros((2, 28, 28, 1), np.float32)
    defense = madvae_tf.FittedDefense(fitted[0].purifier, adapt(unsafe, probe), {})
    with pytest.raises(UserError, match="classifier.keras cannot be loaded in safe mode"):
        defense.save(tmp_path / "defense")
    assert not list(tmp_path.iterdir())


def test_published_weights_are_a_defence():
    """Of docs/weights: the purifier alone, or with the classifier beside it; what they say is what
    Keras' own reader gives.
    """
    folder = Path(__file__).parents[2] / "docs" / "weights"
    defense = madvae_tf.load(folder / "mnist-robust")
    images = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
    purifier, classifier = (
        keras.saving.load_model(folder / "mnist-robust" / f"{name}.keras", compile=False)
        for name in ("purifier", "classifier")
    )
    logits = classifier(purifier(images, training=False), training=False)
    np.testing.assert_array_equal(defense.predict(images), np.argmax(logits, axis=1))
    alone = madvae_tf.load(folder / "mnist-robust-l2")
    assert alone.classifier is None and alone.purify(images).shape == images.shape
    with pytest.raises(UserError, match="no classifier"):
        alone.predict(images)
    other = madvae_tf.load(folder / "mnist-robust-l2", classifier)
    assert other.predict(images).shape == (3,)
