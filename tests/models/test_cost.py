"""What a training is said to cost, against sums by hand."""

import pytest

from madvae_tf.models.cost import announcement, cost_of, relative_to_paper
from madvae_tf.models.vae import DefenseVAE


def test_table_5_by_hand():
    """Filters times the places they are applied at; of a transposed convolution the places of its
    input.
    """
    encoder = 28**2 * 25 * 64 + 16**2 * 16 * 64 * 64 + 8**2 * 16 * 64 * 128 + 4**2 * 16 * 128 * 256
    heads = 2 * 4096 * 128
    decoder = 128 * 4096 + 4**2 * 16 * 256 * 128 + 8**2 * 16 * 128 * 64 + 16**2 * 16 * 64 * 64
    decoder += 28**2 * 25 * 64
    purifier = DefenseVAE()
    cost = cost_of(purifier)
    assert cost.multiply_adds == encoder + heads + decoder
    assert cost.parameters == sum(weight.shape.num_elements() for weight in purifier.weights)
    assert relative_to_paper(purifier) == 1.0
    # Three maps a block (convolution, normalisation, ReLU), padding and crop, heads, the dense map.
    maps = 3 * (28**2 * 64 + 16**2 * 64 + 8**2 * 128 + 4**2 * 256) + 32**2 * 64 + 4096
    maps += 2 * 4096 + 3 * (8**2 * 128 + 16**2 * 64) + 32**2 * 64 + 3 * 28**2 * 64 + 28**2 + 2 * 128
    assert cost.values == maps
    assert cost.memory(32, "float32") == 4 * 32 * maps + 16 * cost.parameters
    assert cost.memory(32, "mixed_bfloat16") == 2 * 32 * maps + 16 * cost.parameters


def test_the_line_of_8_pixels_and_of_half_the_width():
    small = DefenseVAE(8, image_shape=(8, 8, 1), width=0.5)
    by_hand = 64 * 25 * 32 + 16 * 16 * 32 * 128 + 2 * 2048 * 8
    by_hand += 8 * 2048 + 16 * 16 * 128 * 32 + 64 * 25 * 32
    assert cost_of(small).multiply_adds == by_hand
    paper = cost_of(DefenseVAE(8)).multiply_adds
    assert relative_to_paper(small) == pytest.approx(by_hand / paper)
    line = announcement(small, 32, "float32", 90.0)
    assert line.startswith("Training takes about 3 min on two CPU cores that do nothing else")
    # 32 images of these maps: padding and crop there are none.
    maps = 3 * (64 * 32 + 16 * 128) + 2048 + 2 * 2048 + 3 * 64 * 32 + 64 + 2 * 8
    memory = (4 * 32 * maps + 16 * cost_of(small).parameters) / 2**20
    assert f"and {int(memory) + 1} MB of memory: " in line
    large = announcement(DefenseVAE(8, image_shape=(64, 64, 3)), 500, "float32", 1.0)
    assert " GB of memory: " in large
    assert "the purifier of 8 x 8 x 1 images has 0.2 million weights" in line
    assert f"{by_hand / 1e6:.0f} million multiply-adds an image." in line
