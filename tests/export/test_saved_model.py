"""SavedModels in a process that does not know this project: signatures, values, gradients."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.export.saved_model import PART, export_classifier, export_purifier
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.vae import DefenseVAE
from tests import processes
from tests.gradient_check import off_by_image
from tests.small import SmallClassifier, SmallVAE

BYTES = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
IMAGES = BYTES.astype(np.float32) / 255
WEIGHTS = np.random.default_rng(1).standard_normal((5, 10)).astype(np.float32)

# Only TensorFlow and NumPy; it prints what it finds and keeps the arrays.
READER = """
import json, sys
try:
    import madvae_tf
    sys.exit("the project can be imported here")
except ImportError:
    pass
import numpy as np, tensorflow as tf
given = np.load("given.npz")
found, arrays = {}, {}
for model in ("plain/purifier", "plain/classifier", "squash/purifier", "squash/classifier"):
    loaded = tf.saved_model.load(model)
    for name, signature in loaded.signatures.items():
        inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
        describe = lambda specs: {k: [s.dtype.name, s.shape.as_list()] for k, s in specs.items()}
        found[f"{model}/{name}"] = [describe(inputs), describe(outputs)]
        images = given["bytes" if name.endswith("uint8") else "images"]
        for n in (1, 5):
            (value,) = signature(images=tf.constant(images[:n])).values()
            arrays[f"{model}/{name}/{n}"] = value.numpy()
    x = tf.constant(given["images"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(loaded.signatures["classify"](images=x)["probabilities"] * given["weights"])
    arrays[f"{model}/gradient"] = tape.gradient(value, x).numpy()
assert not any(name.split(".")[0] in ("madvae_tf", "pipeline") for name in sys.modules)
np.savez("found.npz", **arrays)
print(json.dumps(found))
"""  # noqa: E501


SQUASHES = {"plain": 0.0, "squash": 10.0}


def made(squash_scale):
    keras.utils.set_random_seed(0)
    purifier, classifier = DefenseVAE(8, squash_scale=squash_scale), Table6Classifier()
    # Weights away from the start, or every probability is near 0.1 and every pixel near 0.5.
    rng = np.random.default_rng(2)
    for model in (purifier, classifier):
        values = [
            2 * w if w.ndim > 1 else w + 0.1 * rng.random(w.shape) for w in model.get_weights()
        ]
        model.set_weights(values)
    return purifier, classifier


@pytest.fixture(scope="module")
def both():
    return {name: made(scale) for name, scale in SQUASHES.items()}


@pytest.fixture(scope="module")
def read_elsewhere(both, tmp_path_factory):
    """(folder, signatures found, arrays found) of the exports, read by another process."""
    folder = tmp_path_factory.mktemp("exports")
    for name, (purifier, classifier) in both.items():
        export_purifier(folder / name / "purifier", purifier, classifier)
        export_classifier(folder / name / "classifier", classifier)
    np.savez(folder / "given.npz", bytes=BYTES, images=IMAGES, weights=WEIGHTS)
    # -S leaves out the hook by which an editable install puts the project on the path.
    packages = os.path.dirname(os.path.dirname(tf.__file__))
    code = f"import sys; sys.path.append({packages!r})\n{READER}"
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    with np.load(folder / "found.npz") as arrays:
        return folder, json.loads(process.stdout), dict(arrays)


@pytest.fixture(params=SQUASHES)
def kind(request):
    return request.param


@pytest.fixture
def models(both, kind):
    return both[kind]


@pytest.fixture
def elsewhere(read_elsewhere, kind):
    """Of one kind of purifier, as `read_elsewhere`."""
    folder, *found = read_elsewhere
    own = [
        {k.removeprefix(f"{kind}/"): v for k, v in each.items() if k.startswith(f"{kind}/")}
        for each in found
    ]
    return folder / kind, *own


def test_signatures(elsewhere):
    images, probabilities = [-1, 28, 28, 1], {"probabilities": ["float32", [-1, 10]]}
    purified = {"purified": ["float32", images]}
    expected = {
        "purifier/purify": ("float32", purified),
        "purifier/serving_default": ("float32", purified),
        "purifier/classify": ("float32", probabilities),
        "purifier/logits": ("float32", {"logits": ["float32", [-1, 10]]}),
        "purifier/purify_uint8": ("uint8", purified),
        "purifier/classify_uint8": ("uint8", probabilities),
        "classifier/classify": ("float32", probabilities),
        "classifier/serving_default": ("float32", probabilities),
        "classifier/logits": ("float32", {"logits": ["float32", [-1, 10]]}),
        "classifier/classify_uint8": ("uint8", probabilities),
    }
    found = json.loads(json.dumps(elsewhere[1]).replace("null", "-1"))
    assert found == {
        name: [{"images": [dtype, images]}, outputs] for name, (dtype, outputs) in expected.items()
    }


@pytest.mark.parametrize("n", [1, 5])
def test_values_are_those_of_the_models(models, elsewhere, n):
    purifier, classifier = models
    arrays, x = elsewhere[2], IMAGES[:n]
    purified = purifier(x).numpy()
    assert purified.std() > 0.01
    defended = tf.nn.softmax(classifier(purifier(x))).numpy()
    plain = tf.nn.softmax(classifier(x)).numpy()
    assert np.abs(defended - plain).max() > 0.01
    for name, expected in (
        ("purifier/purify", purified),
        ("purifier/serving_default", purified),
        ("purifier/classify", defended),
        ("purifier/logits", classifier(purifier(x))),
        ("classifier/logits", classifier(x)),
        ("classifier/classify", plain),
        ("classifier/serving_default", plain),
    ):
        np.testing.assert_allclose(arrays[f"{name}/{n}"], expected, atol=1e-5)
    for name in ("purifier/purify", "purifier/classify", "classifier/classify"):
        np.testing.assert_allclose(arrays[f"{name}_uint8/{n}"], arrays[f"{name}/{n}"], atol=1e-5)
    for name, values in arrays.items():
        if "classify" in name:
            np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
        elif "purify" in name:
            assert values.min() >= 0 and values.max() <= 1


@pytest.mark.parametrize("name", ["purifier", "classifier"])
def test_gradients_flow_through_a_loaded_classify(models, elsewhere, name):
    """Others attack the exports that way."""
    purifier, classifier = models
    logits = (lambda images: classifier(purifier(images))) if name == "purifier" else classifier
    x = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(tf.nn.softmax(logits(x)) * WEIGHTS)
    expected = tape.gradient(value, x).numpy()
    largest = np.abs(expected).max()
    assert largest > 1e-6 and (np.abs(expected).max(axis=(1, 2, 3)) > 0).all()
    # Seen once: one image of five at a kink, off by 0.006.
    off = off_by_image(elsewhere[2][f"{name}/gradient"], expected)
    assert np.median(off) < 1e-4
    assert off.max() < 0.1


def test_keras_files_lie_beside_the_saved_models(models, elsewhere):
    for folder, model in (("purifier", models[0]), ("classifier", models[1])):
        loaded = keras.saving.load_model(elsewhere[0] / folder / f"{folder}.keras", compile=False)
        np.testing.assert_array_equal(loaded(IMAGES).numpy(), model(IMAGES).numpy())


# In a process of its own: without the check, a kernel aborts the process on images of another rank.
WRONG = """
import sys, numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
for name in ("purify", "classify", "purify_uint8"):
    signature = loaded.signatures[name]
    dtype = np.uint8 if name.endswith("uint8") else np.float32
    for shape in ((2, 28, 28), (28, 28), (), (3,), (1, 27, 28, 1), (1, 28, 28, 3)):
        try:
            signature(images=tf.constant(np.zeros(shape, dtype)))
        except tf.errors.InvalidArgumentError:
            continue
        sys.exit(f"{name} took images of shape {shape}")
    (value,) = signature(images=tf.constant(np.zeros((0, 28, 28, 1), dtype))).values()
    print(name, value.shape[0])
"""


def test_signatures_refuse_other_shapes_and_answer_an_empty_batch(tmp_path):
    keras.utils.set_random_seed(0)
    export_purifier(tmp_path / "purifier", SmallVAE(8), SmallClassifier())
    process = processes.run(["-c", WRONG, tmp_path / "purifier"])
    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout.split("\n")[:3] == ["purify 0", "classify 0", "purify_uint8 0"]


def test_bytes_are_computed_in_parts_and_floats_whole(tmp_path):
    """More images than a part, the last part cut off: the answers of the models, and memory that
    does not follow the batch.
    """
    keras.utils.set_random_seed(0)
    sizes = []

    class Counting(SmallVAE):
        def call(self, inputs, **options):
            tf.py_function(lambda n: sizes.append(int(n)), [tf.shape(inputs)[0]], [])
            return super().call(inputs, **options)

    purifier, classifier = Counting(4), SmallClassifier()
    images = np.random.default_rng(5).integers(0, 256, (2 * PART + 3, 28, 28, 1), dtype=np.uint8)
    export_purifier(tmp_path, purifier, classifier)
    loaded = tf.saved_model.load(tmp_path)
    expected = purifier(images / np.float32(255)).numpy()
    for name, value in (
        ("purify", expected),
        ("classify", tf.nn.softmax(classifier(expected)).numpy()),
    ):
        sizes.clear()
        (found,) = loaded.signatures[f"{name}_uint8"](images=tf.constant(images)).values()
        np.testing.assert_allclose(found, value, atol=1e-5)
        assert sizes == [PART, PART, 3]
