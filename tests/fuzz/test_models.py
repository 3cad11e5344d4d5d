"""Models drawn at random, as people make and wrap them: `evaluate`'s clean accuracy is that of
`model.predict`.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from madvae_tf.attacks.gradient import NoAttack
from madvae_tf.evaluation import Suite, Trial, evaluate

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 28, 28, 1), dtype=np.uint8)
SUITE = Suite("own", (Trial("none", NoAttack()),))

# All but the last three do something else in training, or draw.
LAYERS = {
    "rotation": lambda: keras.layers.RandomRotation(0.5),
    "translation": lambda: keras.layers.RandomTranslation(0.4, 0.4),
    "zoom": lambda: keras.layers.RandomZoom(0.5),
    "flip": lambda: keras.layers.RandomFlip(),
    "contrast": lambda: keras.layers.RandomContrast(0.9),
    "brightness": lambda: keras.layers.RandomBrightness(0.9, value_range=(0, 1)),
    "noise": lambda: keras.layers.GaussianNoise(1.0),
    "gaussian_dropout": lambda: keras.layers.GaussianDropout(0.5),
    "dropout": lambda: keras.layers.Dropout(0.7),
    "spatial_dropout": lambda: keras.layers.SpatialDropout2D(0.7),
    "batch_normalization": lambda: keras.layers.BatchNormalization(),
    "convolution": lambda: keras.layers.Conv2D(3, 3, padding="same", activation="relu"),
    "rescaling": lambda: keras.layers.Rescaling(2.0, -1.0),
    "layer_normalization": lambda: keras.layers.LayerNormalization(),
}
HEADS = {
    "logits": lambda: [keras.layers.Dense(10)],
    "softmax": lambda: [keras.layers.Dense(10, activation="softmax")],
    "softmax_layer": lambda: [keras.layers.Dense(10), keras.layers.Softmax()],
    "activation": lambda: [keras.layers.Dense(10), keras.layers.Activation("softmax")],
    "log_softmax": lambda: [keras.layers.Dense(10), keras.layers.Activation("log_softmax")],
    "dropped": lambda: [keras.layers.Dropout(0.5), keras.layers.Dense(10)],
}


class Plain(keras.Model):
    """Its call knows nothing of training."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


class Told(Plain):
    """Its call is told, and training is its default."""

    def call(self, inputs, training=True):
        return self.inner(inputs, training=training)


class Block(keras.layers.Layer):
    """A layer around the model."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


def exported(model, folder):
    """A SavedModel of the model; Keras exports what it does in inference."""
    keras.Sequential([keras.Input((28, 28, 1)), model]).export(folder, verbose=False)
    return folder


# What people give: (model, a folder) -> what `evaluate` takes.
WRAPPERS = {
    "itself": lambda model, _: model,
    "nested": lambda model, _: keras.Sequential(
        [keras.Input((28, 28, 1)), keras.Sequential([model])]
    ),
    "functional": lambda model, _: keras.Model(x := keras.Input((28, 28, 1)), model(x)),
    "plain": lambda model, _: Plain(model),
    "told": lambda model, _: Told(model),
    "block": lambda model, _: Block(model),
    "partial": lambda model, _: functools.partial(model, training=False),
    "lambda": lambda model, _: lambda images: model(images, training=False),
    "compiled": lambda model, _: tf.function(lambda images: model(images, training=False)),
    "exported": exported,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for every export."""
    return tmp_path_factory.mktemp("models")


def build(names, head, seed):
    """A model whose batch normalisation has seen something, so that training and inference differ."""  # noqa: E501
    layers = [LAYERS[name]() for name in names]
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), *layers, keras.layers.Flatten(), *HEADS[head]()]
    )
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            spread = rng.normal(size=variable.shape) * 0.3
            variable.assign(
                np.abs(spread) + 0.5 if "variance" in variable.path else variable.numpy() + spread
            )
    return model


@settings(max_examples=8)
@given(
    st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4),
    st.sampled_from(sorted(HEADS)),
    st.sampled_from(sorted(WRAPPERS)),
    st.sampled_from(["float32", "float64", "uint8"]),
    st.integers(0, 5),
)
def test_clean_accuracy_is_that_of_predict(folder, names, head, wrapper, dtype, seed):
    model = build(names, head, seed)
    floats = IMAGES / np.float32(255)
    said = model.predict(floats, batch_size=24, verbose=0)
    first, second = np.sort(said, axis=1)[:, [-1, -2]].T
    sure = first - second > 1e-4 * np.abs(said).max()
    images = IMAGES if dtype == "uint8" else floats.astype(dtype)
    wrapped = WRAPPERS[wrapper](model, folder / f"{len(list(folder.iterdir()))}")
    found = evaluate(wrapped, images, said.argmax(axis=1), [SUITE], batch_size=16, progress=False)
    assert found.clean[sure].all(), (names, head, wrapper)
    assert not any("differently" in warning or "beside it" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["rotation", "dropout", "batch_normalization"])
def test_a_function_that_hides_training_is_found_by_asking_twice(name):
    """Of a function nobody knows what it holds; it is said that it draws, or that an image's answer
    depends on its batch.
    """
    model = build([name], "logits", 0)
    labels = model.predict(IMAGES / np.float32(255), verbose=0).argmax(axis=1)
    found = evaluate(lambda x: model(x, training=True), IMAGES, labels, [SUITE], progress=False)
    expected = "beside it" if name == "batch_normalization" else "differently"
    assert [warning for warning in found.warnings if expected in warning]
