"""The data sets that TFDS fetches: pixels, labels, names and parts of toy builders, and what TFDS's
own builders say of those of the catalogue.
"""

import types

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from madvae_tf.data import catalogue, own, tfds_sets
from madvae_tf.data.prepare import Split, load_splits, with_validation
from madvae_tf.data.readers import read_dataset
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(1)
COLOURS = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(30) % 10
INFO = types.SimpleNamespace(checksum="0")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path / "cache"))


def as_pairs(*splits):
    return sorted(
        (int(label), bytes(image))
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    )


class ToyColours(tfds.core.GeneratorBasedBuilder):
    """Ten classes of 32 x 32 colour images that need no host."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None
    CLASSES = 10
    SHAPE = (32, 32, 3)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
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


class ToyOne(ToyColours):
    """Nothing to tell apart."""

    CLASSES = 1


class ToyLetters(ToyColours):
    """As EMNIST's letters: labels from 1 to 26 of 37."""

    CLASSES = 37

    def _examples(self, n=0):
        for place in range(n):
            yield place, {"image": COLOURS[place], "label": 1 + (place * 7) % 26}


SIGNS = [COLOURS[place, : 32 - place % 3, : 30 + place % 2] for place in range(30)]


class ToySigns(ToyColours):
    """As GTSRB in the visual decathlon: sizes of their own, and test images without labels."""

    SHAPE = (None, None, 3)

    def _split_generators(self, dl_manager):
        return {
            "train": self._examples(30),
            "validation": self._examples(12),
            "test": self._examples(6, labelled=False),
        }

    def _examples(self, n=0, labelled=True):
        for place in range(n):
            label = int(LABELS[place]) if labelled else -1
            yield place, {"image": SIGNS[place], "label": label}


class ToyWhole(ToyColours):
    """One part only."""

    def _split_generators(self, dl_manager):
        return {"whole": self._examples(30)}


def test_letters_are_counted_from_0_and_named(monkeypatch):
    monkeypatch.setitem(catalogue.CATALOGUE, "toy_letters", catalogue.CATALOGUE["emnist/letters"])
    found = read_dataset("tfds:toy_letters")
    letters = [chr(ord("a") + (place * 7) % 26) for place in range(30)]
    expected = {bytes(image): letter for image, letter in zip(COLOURS, letters, strict=True)}
    assert found.names == tuple("abcdefghijklmnopqrstuvwxyz")
    assert len(found.images) == 30 and isinstance(found.images, np.memmap)
    for image, label in zip(*found, strict=True):
        assert expected[bytes(image)] == found.names[label]


def test_images_of_several_sizes_and_a_test_part_without_labels():
    with pytest.raises(UserError, match="images of several sizes; .*data.image_size=32"):
        read_dataset("tfds:toy_signs")
    shape = (16, 20, 3)
    expected = [
        np.asarray(Image.fromarray(sign).resize((20, 16), Image.Resampling.BILINEAR))
        for sign in SIGNS
    ]
    for split, n in (("train", 30), ("test", 12)):
        found = read_dataset("tfds:toy_signs", split, shape)
        assert found.images.shape == (n, *shape)
        assert as_pairs(found) == as_pairs(Split(np.stack(expected[:n]), LABELS[:n]))


def test_the_pipeline_takes_a_data_set_of_one_part_as_arrays(tmp_path):
    shape = own.wanted_shape(28, 1)
    tfds_sets.prepare_from_tfds("tfds:toy_whole", tmp_path, shape)
    splits = own.in_two(tfds_sets.parts_of("tfds:toy_whole", tmp_path, shape), "toy_whole")
    assert {part: len(split.labels) for part, split in splits.items()} == {"train": 25, "test": 5}
    assert splits["train"].images.shape == (25, 28, 28, 1)
    assert splits["train"].names == tuple("0123456789")


def test_what_is_in_the_cache_needs_no_host(monkeypatch):
    first = read_dataset("tfds:toy_colours", "test")
    monkeypatch.setattr(ToyColours, "url_infos", {"http://host.invalid/a.zip": INFO})
    monkeypatch.setattr(tfds_sets, "reachable", lambda url: False)
    assert as_pairs(read_dataset("tfds:toy_colours", "test")) == as_pairs(first)


# What TFDS 4.9.10 says: shape of images, number of classes.
RECORDED = {
    "kmnist": ((28, 28, 1), 10),
    "emnist/letters": ((28, 28, 1), 37),
    "svhn_cropped": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "visual_domain_decathlon/gtsrb": ((None, None, 3), 43),
}


@pytest.mark.parametrize("name", RECORDED)
def test_what_tfds_says_of_the_data_sets_of_the_catalogue(name):
    features = tfds.builder(name, data_dir="/nowhere").info.features
    assert (tuple(features["image"].shape), features["label"].num_classes) == RECORDED[name]


def test_a_data_set_of_tfds(tmp_path):
    stamp = tfds_sets.prepare_from_tfds("tfds:toy_colours", tmp_path)
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
        ("tfds:toy_one", r"images \(32, 32, 3\) in 1 classes; expected .* 2 to 1000 classes"),
        ("emnist/letter", "Unknown dataset 'emnist/letter'. Did you mean"),
        ("visual_domain_decathlon/gtsrb", "has images of several sizes; .*data.image_size=32"),
    ],
)
def test_what_is_no_data_set_for_a_classifier_is_one_line(name, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        tfds_sets.prepare_from_tfds(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_host_that_is_not_reached_is_one_line(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tfds_sets, "reachable", lambda url: asked.append(url))
    with pytest.raises(
        UserError, match="Cannot fetch cifar10: no connection to www.cs.toronto.edu.*data.path"
    ):
        tfds_sets.prepare_from_tfds("cifar10", tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize("name", catalogue.CATALOGUE)
def test_the_catalogue_names_data_sets_that_tfds_has(name):
    """In TFDS's own words: a shape that this project takes, and as many images as the catalogue
    says.
    """
    builder = tfds.builder(name, data_dir="/nowhere")
    tfds_sets.check_features(name, builder.info, (32, 32, 0))
    known = catalogue.CATALOGUE[name]
    told = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert not told or (told["train"], told["test"]) == (known.train, known.test)
