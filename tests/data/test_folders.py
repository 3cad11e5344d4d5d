"""Own data: the same images and labels come out of an NPZ file, IDX files and a tree of folders."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from madvae_tf.data.readers import read_dataset
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (25, 28, 28), dtype=np.uint8)
LABELS = np.arange(25) % 10


def as_pairs(images, labels):
    return sorted((int(label), bytes(image)) for image, label in zip(images, labels, strict=True))


def tree(folder, names, suffix="png"):
    for place, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        (folder / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / names[label] / f"{place}.{suffix}")


def idx_content(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("x_train", "y_train")])
def test_npz(tmp_path, names):
    more = {} if names[0] != "x_train" else {"x_test": IMAGES[:4], "y_test": LABELS[:4]}
    np.savez(tmp_path / "own.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)), **more)
    images, labels = read_dataset(tmp_path / "own.npz")
    np.testing.assert_array_equal(images[..., 0], IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert images.shape == (25, 28, 28, 1) and labels.dtype == np.int64
    assert len(read_dataset(tmp_path / "own.npz", "test").labels) == (4 if more else 25)


def test_idx_files(tmp_path):
    for prefix, n in (("train", 25), ("t10k", 7)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx_content(IMAGES[:n]))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx_content(LABELS[:n]))
        )
    for split, n in (("train", 25), ("test", 7)):
        images, labels = read_dataset(tmp_path, split)
        np.testing.assert_array_equal(images[..., 0], IMAGES[:n])
        np.testing.assert_array_equal(labels, LABELS[:n])


def test_a_tree_is_numbered_by_the_names_of_its_folders(tmp_path):
    words = [f"class {letter}" for letter in "abcdefghij"]
    numbers = [str(number) for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]  # "10" comes last
    tree(tmp_path / "words", words)
    tree(tmp_path / "numbers" / "test", numbers)
    for folder, names in (("words", words), ("numbers", numbers)):
        found = read_dataset(tmp_path / folder, "test")
        assert list(found.names) == names
        assert as_pairs(found.images, found.labels) == as_pairs(IMAGES, LABELS)
        # A share that is held out at the end is of more than one class.
        assert len(set(found.labels[-5:].tolist())) > 1
    again = read_dataset(tmp_path / "words")
    np.testing.assert_array_equal(again.images, read_dataset(tmp_path / "words").images)


def test_what_is_no_data_set_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", pictures=IMAGES)
    np.savez(tmp_path / "short.npz", images=IMAGES, labels=LABELS[:3])
    np.savez(tmp_path / "many.npz", images=IMAGES, labels=LABELS + 1000)
    np.savez(tmp_path / "objects.npz", images=IMAGES, labels=np.array(LABELS, object))
    np.savez(tmp_path / "wide.npz", images=np.zeros((2, 7, 40, 3), np.uint8), labels=LABELS[:2])
    (tmp_path / "text.npz").write_text("no archive")
    tree(tmp_path / "one", ["a"] * 10)
    tree(tmp_path / "empty", list("abcdefghij"))
    for file in (tmp_path / "empty" / "c").iterdir():
        file.unlink()
    for name, message in (
        ("other.npz", "holds pictures; expected images and labels under one of these pairs"),
        ("short.npz", r"received int64 of shape \(3,\), expected integers of shape \(25,\)"),
        ("many.npz", r"received values in \[1000, 1009\], expected \[0, 999\]"),
        ("objects.npz", "Cannot read .*objects.npz"),
        ("wide.npz", r"received shape \(2, 7, 40, 3\)"),
        ("text.npz", "Cannot read .*text.npz"),
        ("one", r"has 1 folders \(a\); expected 2 to 1000"),
        ("empty", "No PNG or JPEG file in folder"),
        ("missing", "No data set in"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_dataset(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="Invalid split: received 'validation'"):
        read_dataset(tmp_path, "validation")


def test_classes_are_counted_and_named_from_what_is_there(tmp_path, caplog):
    """Labels that skip a class are taken, and said; folders are as many classes as there are."""
    np.savez(tmp_path / "skips.npz", images=IMAGES[:4], labels=[1, 2, 4, 4])
    found = read_dataset(tmp_path / "skips.npz")
    assert found.names == ("0", "1", "2", "3", "4")
    assert "2 of 5 classes have no image: 0, 3" in caplog.text
    tree(tmp_path / "three", [*["cat", "dog", "owl"] * 3, "cat"])
    assert read_dataset(tmp_path / "three").names == ("cat", "dog", "owl")


def test_hidden_folders_are_no_classes(tmp_path):
    names = list("abcdefghij")
    tree(tmp_path / "ten", names)
    expected = read_dataset(tmp_path / "ten")
    tree(tmp_path / "more", names)
    tree(tmp_path / "more", [".ipynb_checkpoints"] * 10)
    assert read_dataset(tmp_path / "more").names == expected.names
    hidden = tmp_path / "ten" / "a" / ".ipynb_checkpoints"
    hidden.mkdir()
    for file in sorted((tmp_path / "ten" / "a").glob("*.png"))[:1]:
        (hidden / file.name).write_bytes(file.read_bytes())
    again = read_dataset(tmp_path / "ten")
    np.testing.assert_array_equal(again.images, expected.images)
    np.testing.assert_array_equal(again.labels, expected.labels)
