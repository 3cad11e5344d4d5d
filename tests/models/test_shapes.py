"""Images of other shapes: the rule that Table 5 follows, every network on them, and the paper's
shape left as it was.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.models.bn_folding import fold_batch_norm
from madvae_tf.models.classifiers import CLASSIFIERS, Table6Classifier
from madvae_tf.models.copies import in_precision
from madvae_tf.models.encoders import ENCODERS, halvings_of, margins
from madvae_tf.models.gan import Critic, Generator
from madvae_tf.models.layers import BatchNormalization, Crop2D
from madvae_tf.models.magnet import MagNetAutoencoder
from madvae_tf.models.substitutes import SubstituteClassifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import CHANNELS, SIDES

SHAPES = [
    *((28, 28, 1), (30, 30, 1), (32, 32, 3), (34, 34, 3)),
    *((8, 8, 1), (31, 37, 3), (28, 56, 1), (9, 64, 3)),
]
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


def test_how_often_a_side_is_halved():
    """The least and the largest side of each number of halvings, by hand: 4 pixels are left, not 3."""  # noqa: E501
    ranges = {1: (8, 12), 2: (13, 24), 3: (25, 48), 4: (49, 96), 5: (97, 192), 6: (193, 256)}
    for times, (first, last) in ranges.items():
        for side in range(first, last + 1):
            assert halvings_of((side, 28, 1)) == (times, 3)
            assert halvings_of((28, side, 1)) == (3, times)
    for side in SIDES:
        (times, _) = halvings_of((side, 28, 1))
        inner, (before, after) = margins(side, times)
        assert 4 <= inner <= 6 and before + side + after == inner * 2**times
        assert 0 <= after - before <= 1
    # Table 5's, and odd ones.
    assert margins(28, 3) == (4, (2, 2)) and margins(32, 3) == (4, (0, 0))
    assert margins(31, 3) == (4, (0, 1)) and margins(37, 3) == (5, (1, 2))


# The maps after each convolution of the encoder, by hand.
MAPS = {
    (28, 28, 1): [(28, 28), (16, 16), (8, 8), (4, 4)],
    (30, 30, 1): [(30, 30), (16, 16), (8, 8), (4, 4)],
    (32, 32, 3): [(32, 32), (16, 16), (8, 8), (4, 4)],
    (34, 34, 3): [(34, 34), (20, 20), (10, 10), (5, 5)],
    (8, 8, 1): [(8, 8), (4, 4)],
    # 37 is padded to 40; 56 is halved once more than 28, first; 9 to 10, and 64 three times more.
    (31, 37, 3): [(31, 37), (16, 20), (8, 10), (4, 5)],
    (28, 56, 1): [(28, 56), (32, 32), (16, 16), (8, 8), (4, 4)],
    (9, 64, 3): [(9, 64), (10, 32), (10, 16), (10, 8), (5, 4)],
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_purifier_of_every_shape(shape, tmp_path):
    model = DefenseVAE(3, image_shape=shape)
    x, sizes, channels = pictures(shape), [], []
    values = x
    for layer in model.encoder.layers:
        values = layer(values)
        if isinstance(layer, keras.layers.Conv2D):
            sizes.append(tuple(values.shape[1:3]))
            channels.append(values.shape[3])
    assert sizes == MAPS[shape]
    assert channels == {2: [64, 256], 4: [64, 64, 128, 256], 5: [64, 64, 64, 128, 256]}[len(sizes)]
    purified = model.purify(x)
    assert purified.shape == x.shape and purified.dtype == tf.float32
    model.save(tmp_path / "purifier.keras")
    again = keras.saving.load_model(tmp_path / "purifier.keras")
    assert again.image_shape == shape
    np.testing.assert_array_equal(again.purify(x), purified)
    np.testing.assert_allclose(fold_batch_norm(again).purify(x), purified, atol=1e-5)


def test_padding_and_crop_of_an_odd_margin_by_hand():
    """The encoder of a padded image is that of the image; the decoder's map loses the same."""
    model = DefenseVAE(3, image_shape=(31, 37, 1))
    x = pictures((31, 37, 1))
    first = keras.Sequential(model.encoder.layers[:3])
    second = keras.Sequential(model.encoder.layers[4:])
    maps = np.pad(first(x), ((0, 0), (0, 1), (1, 2), (0, 0)))
    np.testing.assert_allclose(second(maps), model.encoder(x), atol=1e-5)
    values = tf.ones((2, 3))
    for layer in model.decoder.layers:
        before, values = values, layer(values)
        if isinstance(layer, Crop2D):
            np.testing.assert_array_equal(values, before[:, :31, 1:38])
            with tf.GradientTape() as tape:
                tape.watch(before)
                total = tf.reduce_sum(layer(before) ** 2)
            gradient = tape.gradient(total, before).numpy()
            np.testing.assert_array_equal(gradient[:, :31, 1:38], 2 * values)
            assert np.count_nonzero(gradient) <= np.count_nonzero(values)
            break
    else:
        raise AssertionError("no crop")


def test_a_file_says_how_often_it_halves_where_it_is_not_three_times(tmp_path):
    """64 x 64 images are halved four times; a file without the entry was made with three."""
    assert "halvings" not in DefenseVAE(2, image_shape=(32, 32, 3)).get_config()
    config = DefenseVAE(2, image_shape=(64, 64, 1)).get_config()
    assert config.pop("halvings") == [4, 4]
    old = DefenseVAE.from_config(config)
    assert old.halvings == (3, 3) and old.decoder.layers[1].output.shape == (None, 8, 8, 256)
    old.save(tmp_path / "old.keras")
    again = keras.saving.load_model(tmp_path / "old.keras")
    assert again.halvings == (3, 3)
    # The layer in front of a user's model is saved with its parts' configuration.
    for purifier in (old, DefenseVAE(2, image_shape=(64, 64, 1)), DefenseVAE(2, width=0.5)):
        layer = madvae_tf.Purifier(purifier)
        copy = type(layer).from_config(layer.get_config())
        assert copy.purifier.halvings == purifier.halvings
        shapes = [[weight.shape for weight in each.weights] for each in (copy, layer)]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_width_multiplies_the_channels(encoder):
    half = DefenseVAE(3, image_shape=(8, 8, 1), encoder=encoder, width=0.5)
    whole = DefenseVAE(3, image_shape=(8, 8, 1), encoder=encoder)
    assert half.get_config()["width"] == 0.5 and "width" not in whole.get_config()
    for one, other in zip(half.encoder.layers, whole.encoder.layers, strict=True):
        if isinstance(one, keras.layers.Conv2D):
            assert 2 * one.filters == other.filters
    assert half.purify(pictures((8, 8, 1))).shape == (2, 8, 8, 1)
    assert half.count_params() < whole.count_params() / 3
    for wrong in (0, -1.0, float("nan"), "wide"):
        with pytest.raises(UserError, match="Invalid width: received"):
            DefenseVAE(3, width=wrong)


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        # One pooling, of two pairs; two; and three of 64 pixels.
        ((8, 8, 1), [(8, 8), (8, 8), (4, 4)]),
        ((28, 28, 1), [(28, 28), (14, 14), (7, 7)]),
        ((28, 56, 1), [(28, 56), (28, 28), (14, 14), (7, 7)]),
        ((31, 37, 3), [(31, 37), (15, 18), (7, 9)]),
        ((64, 64, 3), [(64, 64), (32, 32), (16, 16), (8, 8)]),
    ],
)
def test_the_small_encoder_of_every_shape(shape, maps):
    model = DefenseVAE(3, image_shape=shape, encoder="vgg", width=0.25)
    found = [
        tuple(layer.output.shape[1:3])
        for layer in model.encoder.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert found == [each for each in maps[:-1] for _ in range(2)] + maps[-1:]
    assert model.purify(pictures(shape)).shape == (2, *shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_other_network_takes_every_shape(shape):
    x = pictures(shape)
    for name, made in CLASSIFIERS.items():
        if name == "substitute_b" and min(shape[:2]) < 27:
            with pytest.raises(UserError, match="substitute B: received .* of at least 27"):
                made(image_shape=shape)
            continue
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


def test_table_6_on_8_pixels_by_hand():
    """Padded: 8, 8, 8, pooled 4, 4, 4, pooled 2. From 16 pixels on it is not padded: 16, 14, 12, 6,
    4, 2, 1.
    """
    for shape, left in (((8, 8, 1), 4), ((15, 40, 1), 3 * 10), ((16, 16, 1), 1)):
        trainable = 9 * 32 + 32 + 9 * 32 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 64 + 64
        trainable += (left * 64 + 1) * 200 + 201 * 200 + 201 * 10
        assert Table6Classifier(image_shape=shape).count_params() == trainable


def test_the_least_side_of_table_7():
    """B: 27, halved and rounded up 14; a 6 x 6 kernel of stride 2 leaves 5, a 5 x 5 one 1."""
    assert SubstituteClassifier("B", image_shape=(27, 27, 1))(pictures((27, 27, 1))).shape == (
        2,
        10,
    )
    for letter in "ACDE":
        assert SubstituteClassifier(letter, image_shape=(8, 9, 1)).count_params() > 0


@pytest.mark.parametrize(
    "shape",
    [(7, 28, 1), (28, 7, 1), (257, 28, 1), (28, 257, 1), (28, 28, 2), (28, 28), (1, 28, 28)],
)
def test_other_shapes_are_refused(shape):
    assert len(shape) < 3 or not {*shape[:2]} <= {*SIDES} or shape[2] not in CHANNELS
    with pytest.raises(UserError, match="Invalid image_shape: received"):
        DefenseVAE(3, image_shape=shape)
