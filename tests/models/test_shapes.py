"""Images of other shapes: the rule that Table 5 follows, every network on them, and the paper's
shape left as it was.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.classifiers import CLASSIFIERS, Table6Classifier
from madvae_tf.models.copies import in_precision
from madvae_tf.models.encoders import halvings
from madvae_tf.models.gan import Critic, Generator
from madvae_tf.models.layers import BatchNormalization, Crop2D
from madvae_tf.models.magnet import MagNetAutoencoder
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import CHANNELS, SIDES

SHAPES = [(28, 28, 1), (30, 30, 1), (32, 32, 3), (34, 34, 3)]
RNG = np.random.default_rng(0)


def pictures(shape, n=2):
    return RNG.random((n, *shape), dtype=np.float32)


def table5():
    """The encoder and the decoder of 28 x 28 grey images as the first version of this project built
    them.
    """

    def block(layer, *more):
        return [layer, *more, BatchNormalization(), keras.layers.ReLU()]

    def down(channels, size, stride):
        return keras.layers.Conv2D(channels, size, stride, padding="same", use_bias=False)

    def up(channels, size, stride, bias=False):
        return keras.layers.Conv2DTranspose(channels, size, stride, padding="same", use_bias=bias)

    encoder = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *block(down(64, 5, 1)),
            keras.layers.ZeroPadding2D(2),
            *block(down(64, 4, 2)),
            *block(down(128, 4, 2)),
            *block(down(256, 4, 2)),
            keras.layers.Flatten(),
        ]
    )
    heads = [keras.layers.Dense(4), keras.layers.Dense(4)]
    decoder = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4096, activation="relu"),
            keras.layers.Reshape((4, 4, 256)),
            *block(up(128, 4, 2)),
            *block(up(64, 4, 2)),
            *block(up(64, 4, 2), Crop2D(2)),
            up(1, 5, 1, bias=True),
        ]
    )
    for head in heads:
        head.build((None, 4096))
    return encoder, heads, decoder


def test_the_papers_shape_is_the_same_network_bit_for_bit():
    keras.utils.set_random_seed(3)
    encoder, (mean, log_variance), decoder = table5()
    keras.utils.set_random_seed(3)
    model = DefenseVAE(4)
    parts = (encoder, mean, log_variance, decoder)
    ours = (model.encoder, model.mean_head, model.log_variance_head, model.decoder)
    for expected, got in zip(parts, ours, strict=True):
        for one, other in zip(expected.get_weights(), got.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    x = pictures((28, 28, 1))
    expected = tf.sigmoid(decoder(mean(encoder(x))))
    np.testing.assert_array_equal(model.purify(x), expected)
    # What a file of an earlier version says, and what is said now, are the same.
    assert (
        "image_shape" not in model.get_config()
        and "image_shape" not in Table6Classifier().get_config()
    )


def test_the_rule_of_the_margin():
    """28: padded by 2 to 32, halved to 4. Every side is padded to the next multiple of 8, evenly."""  # noqa: E501
    assert halvings(28) == (4, 2) and halvings(32) == (4, 0) and halvings(64) == (8, 0)
    for side in SIDES:
        inner, margin = halvings(side)
        assert side + 2 * margin == 8 * inner and 0 <= margin < 4


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_purifier_of_every_shape(shape, tmp_path):
    model = DefenseVAE(3, image_shape=shape)
    inner, margin = halvings(shape[0])
    x, sizes = pictures(shape), []
    values = x
    for layer in model.encoder.layers:
        values = layer(values)
        if isinstance(layer, keras.layers.Conv2D):
            sizes.append(tuple(values.shape[1:3]))
    whole = shape[0] + 2 * margin
    assert [side for side, _ in sizes] == [
        shape[0],
        whole // 2,
        whole // 4,
        whole // 8,
    ] and whole // 8 == inner
    purified = model.purify(x)
    assert purified.shape == x.shape and purified.dtype == tf.float32
    model.save(tmp_path / "purifier.keras")
    again = keras.saving.load_model(tmp_path / "purifier.keras")
    assert again.image_shape == shape
    np.testing.assert_array_equal(again.purify(x), purified)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_other_network_takes_every_shape(shape):
    x = pictures(shape)
    for name, made in CLASSIFIERS.items():
        classifier = made(dropout=0.0, dtype="float32", image_shape=shape)
        assert classifier(x).shape == (2, 10), name
        copy = in_precision(classifier, "float32")
        np.testing.assert_array_equal(copy(x), classifier(x))
    for pooling in (True, False):
        assert MagNetAutoencoder(pooling, image_shape=shape)(x).shape == x.shape
    generator, critic = Generator(3, 2, shape), Critic(2, shape)
    made = generator(tf.zeros((2, 3)))
    assert made.shape == x.shape and critic(made).shape == (2,)
    for model in (generator, critic):
        assert type(model).from_config(model.get_config()).image_shape == shape


def test_table_6_on_32_pixels_by_hand():
    """32, 30, 28, pooled 14, 12, 10, pooled 5: 5 x 5 x 64 numbers reach the first dense layer."""
    trainable = 27 * 32 + 32 + 9 * 32 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 64 + 64
    trainable += (25 * 64 + 1) * 200 + 201 * 200 + 201 * 10
    assert Table6Classifier(image_shape=(32, 32, 3)).count_params() == trainable


@pytest.mark.parametrize(
    "shape", [(27, 27, 1), (26, 26, 1), (66, 66, 1), (28, 30, 1), (28, 28, 2), (28, 28)]
)
def test_other_shapes_are_refused(shape):
    assert (
        shape[0] not in SIDES or len(shape) < 3 or shape[0] != shape[1] or shape[2] not in CHANNELS
    )
    with pytest.raises(UserError, match="Invalid image_shape: received"):
        DefenseVAE(3, image_shape=shape)
