"""Data of one's own for the pipeline: shapes, splits, one clear line."""

import numpy as np
import pytest
from PIL import Image

from madvae_tf.data import own
from madvae_tf.data.prepare import Split
from madvae_tf.data.readers import read_dataset
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(1)
COLOURS = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(30) % 10


def tree(folder, images=COLOURS, labels=LABELS):
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"class {label}" / f"{place}.png")
    return folder


def as_pairs(*splits):
    return sorted(
        (int(label), bytes(image))
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    )


def test_a_tree_of_colour_pictures_is_taken_as_it_is_and_a_sixth_is_held_out(tmp_path):
    splits = own.read_own(tree(tmp_path / "shapes"))
    assert splits["train"].images.shape == (25, 32, 32, 3) and splits["test"].images.shape == (
        5,
        32,
        32,
        3,
    )
    assert as_pairs(*splits.values()) == as_pairs(Split(COLOURS, LABELS))
    own.write_arrays(tmp_path / "arrays", splits)
    again = own.load_arrays(tmp_path / "arrays")
    for name, split in splits.items():
        np.testing.assert_array_equal(again[name].images, split.images)
        np.testing.assert_array_equal(again[name].labels, split.labels)
    (tmp_path / "arrays" / "test-labels.npy").unlink()
    with pytest.raises(UserError, match="Cannot read the data set in .*arrays"):
        own.load_arrays(tmp_path / "arrays")


def test_grey_pictures_stay_grey_and_other_sizes_are_asked_for(tmp_path):
    folder = tree(tmp_path / "grey", COLOURS[..., 0])
    assert read_dataset(folder).images.shape == (30, 32, 32, 1)
    assert own.read_own(folder, image_size=28, channels=3)["test"].images.shape == (5, 28, 28, 3)
    odd = read_dataset(tree(tmp_path / "odd", COLOURS[:, :31, :27]))
    np.testing.assert_array_equal(odd.images.shape, (30, 31, 27, 3))
    wide = own.read_own(folder, image_size=9, channels=1, image_width=14)
    assert wide["train"].images.shape == (25, 9, 14, 1)
    assert read_dataset(folder, image_shape=(28, 28, 3)).images.shape == (30, 28, 28, 3)
    assert read_dataset(folder, image_shape=(28, 28, 0)).images.shape == (30, 28, 28, 1)
    Image.fromarray(COLOURS[0, :20]).save(folder / "class 0" / "other.png")
    with pytest.raises(UserError, match=r"of 2 sizes \(32 x 20, 32 x 32\).*data.image_size=32"):
        own.read_own(folder)


def test_npz_with_two_parts_and_floating_point(tmp_path):
    floats = (COLOURS / 255).astype(np.float32)
    np.savez(
        tmp_path / "a.npz", x_train=floats, y_train=LABELS, x_test=floats[:7], y_test=LABELS[:7]
    )
    splits = own.read_own(tmp_path / "a.npz")
    np.testing.assert_array_equal(splits["train"].images, COLOURS)
    np.testing.assert_array_equal(splits["test"].images, COLOURS[:7])
    np.savez(
        tmp_path / "b.npz",
        x_train=COLOURS,
        y_train=LABELS,
        x_test=COLOURS[:, :28, :28],
        y_test=LABELS,
    )
    with pytest.raises(
        UserError, match=r"of shape \(32, 32, 3\), the test images 30 of shape \(28, 28, 3\)"
    ):
        own.read_own(tmp_path / "b.npz")


def test_idx_files_of_another_side(tmp_path, idx_bytes):
    for prefix, n in (("train", 20), ("t10k", 10)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(COLOURS[:n, ..., 0]))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:n]))
    splits = own.read_own(tmp_path)
    np.testing.assert_array_equal(splits["test"].images[..., 0], COLOURS[:10, ..., 0])
    assert len(splits["train"].labels) == 20
