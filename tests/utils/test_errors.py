"""Messages of libraries as one line that says the cause, and mistakes that are one line wherever a
file or a number comes in.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.api.fitted import FittedDefense, load
from madvae_tf.api.validation import scratch_folder
from madvae_tf.data import image_io
from madvae_tf.data.readers import has_splits, read_dataset
from madvae_tf.evaluation import auto_attack, gradient_suite, joint
from madvae_tf.evaluation.suites import decision, score
from madvae_tf.models.external_classifier import adapt, load_classifier_file
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError, cause_of

PROBE = np.zeros((4, 28, 28, 1), np.float32)


class Strange(keras.layers.Layer):
    """No class that Keras can find again."""

    def call(self, inputs):
        return keras.ops.mean(inputs, axis=(1, 2))


def test_the_cause_without_colours_dumps_and_length():
    said = (
        "\x1b[1mInput 0 is incompatible\x1b[0m\n\nArguments received by Dense.call():\n  inputs=..."
    )
    assert cause_of(ValueError(said)) == "Input 0 is incompatible"
    assert cause_of(ValueError("")) == "ValueError" and cause_of(KeyError("x")) == "'x'"
    assert len(cause_of(ValueError("a b " * 400))) == 300
    assert cause_of(ValueError("a  b\n c")) == "a b c"


def test_an_unregistered_class_is_named(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((28, 28, 1)), Strange(), keras.layers.Dense(10)])
    model.save(tmp_path / "model.keras")
    monkeypatch.delitem(globals(), "Strange")
    with pytest.raises(
        UserError, match="the class 'Strange', which is not registered; import the module"
    ) as caught:
        load_classifier_file(tmp_path / "model.keras", PROBE)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.keras", "there is nothing"),
        ("old.h5", r"load_model\('old.h5'\).save\('old.keras'\)"),
        ("model.onnx", "expected a .keras file or the folder of a SavedModel"),
    ],
)
def test_a_file_that_is_no_classifier(tmp_path, name, message):
    if "missing" not in name:
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(UserError, match=message):
        load_classifier_file(tmp_path / name, PROBE)


def test_damaged_and_misnamed_data(tmp_path):
    images, labels = np.eye(28, dtype=np.uint8)[None].repeat(20, 0), np.arange(20) % 10
    np.savez(tmp_path / "good.npz", images=images, labels=labels)
    content = (tmp_path / "good.npz").read_bytes()
    # An archive is one by what it holds, not by its name.
    (tmp_path / "good.data").write_bytes(content)
    assert len(read_dataset(tmp_path / "good.data").labels) == 20 and not has_splits(
        tmp_path / "good.data"
    )
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "data.txt").write_text("label,pixel\n1,0\n")
    np.save(tmp_path / "one.npy", images)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    for name, message in (
        ("cut.npz", "Cannot read .*cut.npz"),
        ("data.txt", "No data set in .*data.txt; expected tfds:NAME, an NPZ file, IDX files, CSV"),
        ("one.npz", "is one array|expected an NPZ file"),
    ):
        for read in (read_dataset, has_splits):
            with pytest.raises(UserError, match=message) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [auto_attack, gradient_suite, joint, decision, score])
def test_a_budget_in_steps_of_255_is_refused_and_told(make):
    with pytest.raises(UserError, match="a budget of 8 steps of 255 is 8 / 255"):
        make("linf", 8)
    # The whole range, and any length in L2, are budgets.
    assert make("linf", 1.0).trials and make("l2", 8).trials


@pytest.mark.parametrize("make", [auto_attack, gradient_suite, joint])
def test_zero_iterations_are_refused(make):
    with pytest.raises(UserError, match="iterations: received 0, expected an integer >= 1"):
        make("linf", 0.3, 0)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    images = np.eye(28, dtype=np.uint8)[None].repeat(20, 0)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(20) % 10)
    assert len(read_dataset("~/own.npz").labels) == 20
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    found = load_classifier_file(Path("~/model.keras"), PROBE)
    assert found(tf.constant(PROBE)).shape == (4, 10)
    with pytest.raises(UserError, match=f"No defence in {tmp_path}/nowhere"):
        load("~/nowhere")
    defense = FittedDefense(DefenseVAE(2), adapt(keras.Sequential(layers), PROBE), {})
    defense.save("~/saved")
    defense.export("~/exported")
    assert (
        load("~/saved").image_shape == (28, 28, 1)
        and (tmp_path / "exported" / "saved_model.pb").is_file()
    )
    (tmp_path / "scratch").mkdir()
    assert scratch_folder("~/scratch") == tmp_path / "scratch"
    path = image_io.destinations([(tmp_path / "in.png", "in.png")], "~/out", False)[0]
    assert path == tmp_path / "out" / "in.png"
