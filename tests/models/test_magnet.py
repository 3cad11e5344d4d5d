"""MagNet's autoencoders: Table 2 of that paper by its counts, range, resolution of the code, and
the file.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.magnet import MagNetAutoencoder

LAYERS = {  # name of the layer's class and number of weights: 9 x in x out, and a bias each
    True: [
        ("Conv2D", 30),
        ("AveragePooling2D", 0),
        ("Conv2D", 84),
        ("Conv2D", 84),
        ("UpSampling2D", 0),
        ("Conv2D", 84),
        ("Conv2D", 28),
    ],
    False: [("Conv2D", 30), ("Conv2D", 84), ("Conv2D", 28)],
}


@pytest.mark.parametrize("pooling", [True, False])
def test_the_layers_are_those_of_the_paper(pooling, tmp_path):
    model = MagNetAutoencoder(pooling)
    layers = model.layers_in_order.layers
    assert [(type(layer).__name__, layer.count_params()) for layer in layers] == LAYERS[pooling]
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.activation.__name__ for layer in convolutions} == {"sigmoid"}

    images = tf.random.stateless_uniform((3, 28, 28, 1), [0, 1])
    output = model(images)
    assert output.shape == images.shape and np.min(output) > 0 and np.max(output) < 1
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.pooling == pooling
    np.testing.assert_array_equal(loaded(images), output)
    half = MagNetAutoencoder(pooling, dtype="mixed_bfloat16")(images)
    assert half.dtype == tf.float32
