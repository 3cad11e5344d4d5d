"""IDX files: hand-made bytes in, arrays or one clear line out."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.data import idx
from madvae_tf.utils.errors import UserError

IMAGES = "train-images-idx3-ubyte"


def test_parse_reads_values_in_row_major_order():
    content = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 20, 21, 22])
    np.testing.assert_array_equal(idx.parse(content, Path("f"), 3), [[[10, 11, 12], [20, 21, 22]]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "magic number 0x,"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 5]), "magic number 0x00000801, expected 0x00000803"),
        (bytes([0, 0, 13, 3]), "magic number 0x00000d03"),
        (bytes([0, 0, 8, 3, 0, 0]), "truncated, received 6 bytes, expected 16"),
        (
            struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 28, 28) + bytes(28 * 28),
            "truncated, received 800 bytes, expected 1584",
        ),
        (
            struct.pack(">BBBBIII", 0, 0, 8, 3, 1, 28, 28) + bytes(785),
            "too long, received 801 bytes, expected 800",
        ),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 2**32 - 1, 28, 28), "expected 3367254359296"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 28, 28), "no examples"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 1, 2, 2) + bytes(4), "images of (2, 2)"),
    ],
)
def test_damaged_images_are_one_line_that_names_the_file(content, said):
    path = Path("/somewhere") / IMAGES
    with pytest.raises(UserError) as caught:
        idx.parse_file(content, path, IMAGES)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "data.path" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_named_as_emnist_has_them(tmp_path, idx_bytes):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    for part in ("train", "test"):
        for what, values in (("images-idx3", images), ("labels-idx1", np.array([1, 26]))):
            file = tmp_path / f"emnist-letters-{part}-{what}-ubyte.gz"
            file.write_bytes(gzip.compress(idx_bytes(values)))
    for prefix in ("train", "t10k"):
        read, labels = idx.read_pair(tmp_path, prefix)
        np.testing.assert_array_equal(read[..., 0], images)
        assert labels.tolist() == [1, 26]
    (tmp_path / "emnist-digits-train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(UserError, match="Several data sets in .*: emnist-digits.*, emnist-letters"):
        idx.read_pair(tmp_path, "train")


@pytest.mark.parametrize(
    "spelling", [IMAGES, f"{IMAGES}.gz", "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"]
)
def test_every_spelling_gives_the_same_content(tmp_path, spelling):
    content = bytes(range(200))
    (tmp_path / spelling).write_bytes(
        gzip.compress(content) if spelling.endswith(".gz") else content
    )
    assert idx.read_content(idx.locate(tmp_path, IMAGES)) == content


def test_a_file_that_lost_its_gzip_but_kept_its_name_is_read(tmp_path):
    (tmp_path / "f.gz").write_bytes(b"\0\0\x08\x01plain")
    assert idx.read_content(tmp_path / "f.gz") == b"\0\0\x08\x01plain"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:12] + b"\xff\xff" + data[14:]]
)
def test_damaged_gzip_is_one_line(tmp_path, damage):
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(damage(gzip.compress(np.random.default_rng(0).bytes(5000))))
    with pytest.raises(UserError, match=f"Unreadable IDX file {path}") as caught:
        idx.read_content(path)
    assert "\n" not in str(caught.value)


def test_missing_file_lists_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte, train-images-idx3-ubyte\.gz"):
        idx.locate(tmp_path, IMAGES)


def test_read_pair(tiny_folder, tiny_files):
    images, labels = idx.read_pair(tiny_folder, "t10k")
    assert images.shape == (12, 28, 28, 1)
    assert labels.dtype == np.int64
    assert images.tobytes() == tiny_files["t10k-images-idx3-ubyte"][16:]
    assert labels.tolist() == list(tiny_files["t10k-labels-idx1-ubyte"][8:])


def test_read_pair_refuses_unequal_lengths(tiny_folder, idx_bytes):
    (tiny_folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(29)))
    with pytest.raises(UserError, match=r"30 images, expected as many as .* holds labels, 29"):
        idx.read_pair(tiny_folder, "train")


def test_sha256_of_a_known_vector():
    assert idx.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
