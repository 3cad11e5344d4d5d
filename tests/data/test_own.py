"""Data of one's own for the pipeline, and the data sets that TFDS fetches: shapes, splits, one
clear line.
"""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from madvae_tf.data import catalogue, own
from madvae_tf.data.folders import natural_shape, read_dataset
from madvae_tf.data.prepare import load_splits, with_validation
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
    assert as_pairs(*splits.values()) == as_pairs(type(splits["test"])(COLOURS, LABELS))
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
    assert natural_shape(folder) == (32, 32, 1)
    assert own.read_own(folder, image_size=28, channels=3)["test"].images.shape == (5, 28, 28, 3)
    assert read_dataset(folder).images.shape == (
        30,
        28,
        28,
        1,
    )  # the paper's, unless one says otherwise
    assert read_dataset(folder, image_shape=None).images.shape == (30, 32, 32, 1)
    assert natural_shape(tree(tmp_path / "odd", COLOURS[:, :31, :27])) == (31, 27, 3)
    wide = own.read_own(folder, image_size=9, channels=1, image_width=14)
    assert wide["train"].images.shape == (25, 9, 14, 1)
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
    assert len(splits["train"]) == 20


class ToyColours(tfds.core.GeneratorBasedBuilder):
    """Ten classes of 32 x 32 colour images that need no host."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None
    CLASSES = 10

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=self.CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._examples(30), "test": self._examples(10)}

    def _examples(self, n=0):
        for place in range(n):
            yield place, {"image": COLOURS[place], "label": int(LABELS[place])}

    def _generate_examples(self):
        yield from ()


class ToyEleven(ToyColours):
    """One class too many."""

    CLASSES = 11


def test_a_data_set_of_tfds(tmp_path):
    stamp = catalogue.prepare_from_tfds("tfds:toy_colours", tmp_path)
    assert stamp["kind"] == "tfds" and "toy_colours/1.0.0" in stamp["detail"]
    splits = load_splits("tfds:toy_colours", tmp_path, 5)
    assert splits["train"].images.shape == (25, 32, 32, 3)
    assert as_pairs(splits["train"], splits["validation"]) == as_pairs(
        type(splits["test"])(COLOURS, LABELS)
    )
    with pytest.raises(UserError, match="has 30 training images.*data.validation_images"):
        load_splits("tfds:toy_colours", tmp_path, 30)
    assert len(with_validation("toy", splits, 4)["train"]) == 21


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tfds:no_such_data_set", "TFDS has no data set 'no_such_data_set'"),
        ("tfds:toy_eleven", r"images \(32, 32, 3\) in 11 classes; expected images"),
        ("emnist/letters", "Unknown dataset 'emnist/letters'. Did you mean"),
        ("tfds:emnist/letters", "in 37 classes"),
    ],
)
def test_what_is_no_data_set_of_ten_classes_is_one_line(name, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        catalogue.prepare_from_tfds(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_host_that_is_not_reached_is_one_line(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(catalogue, "reachable", lambda url: asked.append(url))
    with pytest.raises(
        UserError, match="Cannot fetch cifar10: no connection to www.cs.toronto.edu.*data.path"
    ):
        catalogue.prepare_from_tfds("cifar10", tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize("name", catalogue.CATALOGUE)
def test_the_catalogue_names_data_sets_that_tfds_has(name):
    """In TFDS's own words: ten classes, a shape that this project takes, and as many images as the
    catalogue says.
    """
    builder = tfds.builder(name, data_dir="/nowhere")
    catalogue._check(name, builder)
    known = catalogue.CATALOGUE[name]
    told = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert not told or (told["train"], told["test"]) == (known.train, known.test)
