"""`tf.data.Dataset` and `keras.utils.PyDataset` give the images and labels that they were made
of.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data import streams
from madvae_tf.data.labelled import labelled
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (70, 28, 28, 1), dtype=np.uint8)
LABELS = np.arange(70) * 3 % 10


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path / "cache"))


def slices(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays)


def counted(*, last):
    """Pairs whose number TensorFlow does not know, in a data set that can be read once."""
    every = slices(IMAGES, LABELS)
    return every.filter(lambda image, label: True).take(last)


KINDS = {
    "single": lambda: slices(IMAGES, LABELS),
    "batched": lambda: slices(IMAGES, LABELS).batch(32),
    "of unknown number": lambda: counted(last=70),
    "grey without a channel": lambda: slices(IMAGES[..., 0], LABELS),
    "grey batches without a channel": lambda: slices(IMAGES[..., 0], LABELS).batch(28),
    "with weights": lambda: slices(IMAGES, LABELS, np.ones(70)).batch(32),
    "dicts": lambda: slices(IMAGES, LABELS).map(
        lambda image, label: {"image": image, "label": label, "id": "a"}
    ),
    "floats": lambda: slices((IMAGES / 255).astype(np.float32), LABELS).batch(7),
    "bytes as labels": lambda: slices(IMAGES, LABELS.astype(np.uint8)).prefetch(2),
    "labels in a column": lambda: slices(IMAGES, LABELS[:, None]).batch(32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_data_sets_of_tensorflow(kind):
    found = labelled(KINDS[kind]())
    expected = (IMAGES / 255).astype(np.float32) if kind == "floats" else IMAGES
    np.testing.assert_array_equal(found.images, expected)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.images.dtype == expected.dtype and found.labels.dtype == np.int64
    assert isinstance(found.images, np.memmap) and found.names == tuple("0123456789")


def test_images_keep_their_labels_when_each_reading_has_its_own_order():
    found = labelled(slices(IMAGES, LABELS).shuffle(70).batch(16))
    expected = {bytes(image): label for image, label in zip(IMAGES, LABELS, strict=True)}
    assert [expected[bytes(image)] for image in found.images] == found.labels.tolist()
    assert len(set(map(bytes, found.images))) == 70


def test_what_is_read_is_never_in_memory_together(monkeypatch):
    """The batches that go to disk are small, whatever the data set's length."""
    sizes = []

    def watched(batches, what):
        def each():
            for images, labels in batches:
                sizes.append(len(images))
                yield images, labels

        return kept(each(), what)

    kept = streams.gathered
    monkeypatch.setattr(streams, "gathered", watched)
    monkeypatch.setattr(streams, "BATCH", 16)
    labelled(slices(IMAGES, LABELS))
    assert sizes == [16, 16, 16, 16, 6]


def test_class_names_of_keras_are_kept():
    dataset = slices(IMAGES, LABELS).batch(32)
    dataset.class_names = [f"class {label}" for label in range(10)]
    assert labelled(dataset).names[9] == "class 9"


class Pairs(keras.utils.PyDataset):
    """`count` batches of 10; None: without end."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, place):
        rows = slice(10 * place, 10 * place + 10)
        return IMAGES[rows], LABELS[rows]


def test_data_sets_of_keras():
    found = labelled(Pairs(7))
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert isinstance(found.images, np.memmap)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: (slices(IMAGES, LABELS).repeat(), None), "received a data set without end"),
        (lambda: (Pairs(None), None), "received a data set without end"),
        (lambda: (slices(IMAGES, LABELS), LABELS), "received some beside .*; expected None"),
        (lambda: (IMAGES, None), "Missing labels: received none for ndarray"),
        (lambda: (slices(IMAGES), None), "received elements of one part|of 1 parts"),
        (lambda: (slices(IMAGES, LABELS).take(0), None), "received none"),
        (lambda: (slices(IMAGES / 2, LABELS), None), "expected \\[0, 1\\]; divide by 255"),
        (lambda: (slices(IMAGES / 127.5 - 1, LABELS), None), "in \\[-1, 1\\].*preprocessing"),
        (lambda: (mixed(), None), "received some of \\(28, 28, 1\\) and some of \\(32, 32, 1\\)"),
        (lambda: (broken(), None), "Cannot read the images: "),
    ],
)
def test_mistakes_are_one_line(given, message):
    with pytest.raises(UserError, match=message) as caught:
        labelled(*given())
    assert "\n" not in str(caught.value)


def mixed():
    sides = tf.data.Dataset.from_tensor_slices([28, 28, 32])
    return sides.map(lambda side: (tf.ones((side, side, 1), tf.uint8), 1))


def broken():
    return slices(IMAGES, LABELS).map(
        lambda image, label: (
            tf.debugging.check_numerics(tf.cast(image, tf.float32) / 0, "x"),
            label,
        )
    )
