"""Files of a user's: read, or refused with one line; never another exception, nothing written."""

import gc
import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from madvae_tf.data import adversarial_sets, idx, image_io, shards
from madvae_tf.data.readers import read_dataset
from madvae_tf.utils.errors import UserError


def idx_bytes(*shape, kind=8):
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return header + bytes(int(np.prod(shape)))


def npy_bytes(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def npz_bytes(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def picture_bytes(kind):
    file = io.BytesIO()
    Image.fromarray(np.arange(30 * 20, dtype=np.uint8).reshape(30, 20)).save(file, kind)
    return file.getvalue()


@st.composite
def mutated(draw, originals):
    """One of `originals` with bytes changed, cut off, put in or put behind; or any bytes."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        how = draw(st.sampled_from(["change", "cut", "insert", "append", "anything"]))
        if how == "change" and content:
            # Headers are where it hurts: half of the changes are in the first bytes.
            place = place % 128 if draw(st.booleans()) else place
            content[place % len(content)] = draw(st.integers(0, 255))
        elif how == "cut":
            content = content[:place]
        elif how == "insert":
            content[place:place] = draw(st.binary(max_size=8))
        elif how == "append":
            content += draw(st.binary(max_size=8))
        else:
            content = bytearray(draw(st.binary(max_size=64)))
    return bytes(content)


def refused_or(work, *arguments):
    try:
        return work(*arguments)
    except UserError as error:
        assert "\n" not in str(error), str(error)
        return None


IMAGES, LABELS = idx_bytes(3, 28, 28), idx_bytes(3)


@given(
    st.sampled_from(["images", "labels"]),
    mutated([IMAGES, LABELS, gzip.compress(IMAGES), gzip.compress(LABELS)]),
)
@example("images", struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1))
@example(
    "images", gzip.compress(bytes(300_000_000), 1)
)  # a bomb: more than any of these files holds
def test_idx(tmp_path_factory, name, content):
    folder = tmp_path_factory.mktemp("idx")
    (folder / "train-images-idx3-ubyte").write_bytes(IMAGES)
    (folder / "train-labels-idx1-ubyte").write_bytes(LABELS)
    (folder / f"train-{name}-idx{3 if name == 'images' else 1}-ubyte").write_bytes(content)
    found = refused_or(idx.read_pair, folder, "train")
    if found is not None:
        assert (
            found[0].shape[1:] == (28, 28, 1)
            and len(found[0]) == len(found[1])
            and found[1].max() <= 9
        )
    assert len(list(folder.iterdir())) == 2


SHARD = {
    "x_adv": np.zeros((3, 28, 28, 1), "<f4"),
    "index": np.arange(3, dtype="<i8"),
    "label": np.zeros(3, "<i8"),
}


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_an_archive_in_a_shards_place_is_refused_and_closed(tmp_path):
    shards.write_shard(tmp_path, 0, SHARD)
    shards.shard_path(tmp_path, 0, "label").write_bytes(npz_bytes(a=SHARD["label"]))
    with pytest.raises(UserError, match="shard-00000-label.npy"):
        shards.open_shard(tmp_path, 0)
    gc.collect()  # What was left open would be said here.


@given(st.data(), st.sampled_from(sorted(SHARD)))
def test_shards(tmp_path_factory, data, field):
    folder = tmp_path_factory.mktemp("shards")
    shards.write_shard(folder, 0, SHARD)
    originals = [
        npy_bytes(SHARD[field]),
        npy_bytes(np.array([{}, []], object)),
        npz_bytes(a=SHARD["label"]),
    ]
    shards.shard_path(folder, 0, field).write_bytes(data.draw(mutated(originals)))
    found = refused_or(shards.open_shard, folder, 0)
    if found is not None:
        assert found["x_adv"].shape == (len(found["label"]), 28, 28, 1)
    adversarial_sets.ShardWriter(folder, 5).done(0)


@given(
    mutated(
        [b'{"schema": 1, "images": 3, "shard_sizes": [3]}', b'{"shard_sizes": [1e9]}', b"[[[[1]]]]"]
    )
)
@example(b'{"schema": 1, "images": 1000000000000, "shard_sizes": [1000000000000]}')
@example(b"[" * 100_000)
@example(b'{"schema": 1, "images": 3, "shard_sizes": 3}')
def test_the_description_of_a_set(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("set")
    shards.write_shard(folder, 0, SHARD)
    (folder / "set.json").write_bytes(content)
    refused_or(adversarial_sets.AdversarialSet.open, folder)


PAIR = {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(2, np.int64)}


@given(
    mutated(
        [
            npz_bytes(**PAIR),
            npz_bytes(images=np.array([{}], object), labels=np.zeros(1)),
            npz_bytes(),
        ]
    )
)
def test_npz(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("npz") / "own.npz"
    path.write_bytes(content)
    refused_or(read_dataset, path)
    assert [each.name for each in path.parent.iterdir()] == ["own.npz"]


def test_an_npz_whose_header_claims_more_than_there_is_memory(tmp_path):
    path = tmp_path / "own.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999,), }"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", array)
        archive.writestr("labels.npy", npy_bytes(PAIR["labels"]))
    with pytest.raises(UserError, match="Cannot read"):
        read_dataset(path)


@given(mutated([picture_bytes("PNG"), picture_bytes("JPEG")]), st.sampled_from([".png", ".jpg"]))
def test_pictures(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("pictures") / f"digit{suffix}"
    path.write_bytes(content)
    found = refused_or(image_io.read, path, path.name)
    if found is not None:
        assert found.pixels.shape == (28, 28, 1) and found.pixels.dtype == np.uint8


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=10)
@given(
    st.lists(
        st.sampled_from(["0", "1", "a b", ".hidden", "9" * 5000, "é", "²"]), unique=True, max_size=4
    ),
    mutated([picture_bytes("PNG")]),
)
def test_a_tree_of_folders(tmp_path_factory, names, content):
    folder = tmp_path_factory.mktemp("tree")
    for number in range(10 - len(names)):
        (folder / f"c{number}").mkdir()
        (folder / f"c{number}" / "x.png").write_bytes(picture_bytes("PNG"))
    for name in names:
        (folder / name[:200]).mkdir()
        (folder / name[:200] / "x.png").write_bytes(content)
    found = refused_or(read_dataset, folder)
    # One image a class.
    assert found is None or len(found.images) == len(found.names)
