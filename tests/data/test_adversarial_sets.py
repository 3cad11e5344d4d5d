"""Adversarial sets: bytes on disk, resuming, damage, and batches against brute force."""

import json

import numpy as np
import pytest

from madvae_tf.data.adversarial_sets import (
    AdversarialSet,
    PairedSets,
    ShardWriter,
)
from madvae_tf.data.batches import epoch_order, training_dataset
from madvae_tf.utils.errors import UserError

METADATA = {
    "dataset": "mnist",
    "split": "train",
    "attack": "fgsm",
    "parameters": {"epsilon": 0.3},
    "seed": 1,
}
CLEAN = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 40)


def made(n, seed):
    """x_adv, index and label of a set of n images of CLEAN."""
    generator = np.random.default_rng(seed)
    index = generator.permutation(40)[:n]
    return generator.random((n, 28, 28, 1), dtype=np.float32), index, LABELS[index]


def write(folder, n=23, seed=2, shard_size=10):
    values = made(n, seed)
    writer = ShardWriter(folder, shard_size)
    for k, start in enumerate(range(0, n, shard_size)):
        writer.write(k, *(each[start : start + shard_size] for each in values))
    writer.finish(METADATA)
    return values


def test_open_reads_back_what_was_written(tmp_path):
    x_adv, index, label = write(tmp_path / "set")
    opened = AdversarialSet.open(tmp_path / "set")
    assert len(opened) == 23
    assert opened.metadata["parameters"] == {"epsilon": 0.3} and opened.metadata["shard_sizes"] == [
        10,
        10,
        3,
    ]
    np.testing.assert_array_equal(opened.indices, index)
    np.testing.assert_array_equal(opened.labels, label)
    rows = np.array([22, 0, 9, 10, 10, 19, 20, 1])
    got, got_index = opened.gather(rows)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, x_adv[rows])
    np.testing.assert_array_equal(got_index, index[rows])
    # numpy alone reads the files: the format is no secret of ours.
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "shard-00002-x_adv.npy"), x_adv[20:])


def test_bytes_are_reproducible_and_nothing_else_is_left(tmp_path):
    write(tmp_path / "first")
    x_adv, index, label = made(23, 2)
    writer = ShardWriter(tmp_path / "second", 10)
    for k in (2, 0, 1):  # another order, another memory layout, another integer type
        part = slice(10 * k, 10 * k + 10)
        writer.write(
            k, np.asfortranarray(x_adv[part]), index[part].astype(np.int32), label[part].tolist()
        )
    writer.finish(dict(reversed(METADATA.items())))
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    ]
    assert contents[0] == contents[1]
    fields = ("index", "label", "x_adv")
    expected = ["set.json", *(f"shard-0000{k}-{field}.npy" for k in range(3) for field in fields)]
    assert sorted(contents[0]) == expected


def test_a_generation_that_was_killed_goes_on_at_the_first_shard_that_is_not_done(tmp_path):
    x_adv, index, label = made(23, 2)
    writer = ShardWriter(tmp_path, 10)
    writer.write(0, x_adv[:10], index[:10], label[:10])
    writer.write(1, x_adv[10:20], index[10:20], label[10:20])
    (tmp_path / "shard-00001-label.npy").unlink()  # killed between the files of shard 1,
    (tmp_path / ".partial-shard-00001-label.npy").write_bytes(b"\x93NUM")  # in the middle of one
    again = ShardWriter(tmp_path, 10)
    assert [again.done(k) for k in range(3)] == [True, False, False]
    with pytest.raises(UserError, match="shard 1 holds 0 images"):
        again.finish(METADATA)
    again.write(1, x_adv[10:20], index[10:20], label[10:20])
    again.write(2, x_adv[20:], index[20:], label[20:])
    again.finish(METADATA)
    assert [again.done(k) for k in range(4)] == [True, True, True, False]
    np.testing.assert_array_equal(AdversarialSet.open(tmp_path).gather(np.arange(23))[0], x_adv)
    assert not list(tmp_path.glob(".partial-*"))


def test_done_wants_the_expected_shapes(tmp_path):
    x_adv, index, label = made(10, 2)
    ShardWriter(tmp_path, 10).write(0, x_adv, index, label)
    assert not ShardWriter(tmp_path, 9).done(0)
    np.save(tmp_path / "shard-00000-label.npy", label[:9])
    assert not ShardWriter(tmp_path, 10).done(0)
    np.save(tmp_path / "shard-00000-label.npy", label.astype(np.int32))
    assert not ShardWriter(tmp_path, 10).done(0)


def test_a_short_shard_before_the_last_is_refused(tmp_path):
    x_adv, index, label = made(12, 2)
    writer = ShardWriter(tmp_path, 10)
    writer.write(0, x_adv[:9], index[:9], label[:9])
    writer.write(1, x_adv[9:], index[9:], label[9:])
    with pytest.raises(UserError, match="shard 0 holds 9 images, expected 10"):
        writer.finish(METADATA)
    assert not (tmp_path / "set.json").exists()


def test_bad_values_are_refused_before_anything_is_written(tmp_path):
    x_adv, index, label = made(5, 2)
    writer = ShardWriter(tmp_path / "set", 5)
    for values in (
        (np.where(x_adv > 0.5, np.nan, x_adv), index, label),
        (x_adv + 1, index, label),
        (x_adv[..., 0], index, label),
        (x_adv, index[:4], label),
        (x_adv, index, label[:, np.newaxis]),
        (x_adv, -1 - index, label),
        (x_adv[:0], index[:0], label[:0]),
        made(6, 2),
    ):
        with pytest.raises(UserError):
            writer.write(0, *values)
    assert not (tmp_path / "set").exists()
    with pytest.raises(UserError, match="shard_size: received 0"):
        ShardWriter(tmp_path, 0)
    with pytest.raises(ValueError, match="seed"):
        writer.finish({"dataset": "mnist", "split": "train", "attack": "fgsm", "parameters": {}})


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write .*shard-00000-x_adv.npy"):
        ShardWriter(tmp_path / "file" / "set", 5).write(0, *made(5, 2))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def change_metadata(**changes):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("shard-00001-x_adv.npy", lambda path: path.unlink()),
        ("shard-00001-x_adv.npy", cut),
        ("shard-00001-x_adv.npy", lambda path: path.write_bytes(path.read_bytes() + b"\0")),
        ("shard-00001-x_adv.npy", lambda path: path.write_bytes(path.read_bytes()[:50])),
        ("shard-00001-x_adv.npy", lambda path: path.write_bytes(b"")),
        ("shard-00002-index.npy", cut),
        ("shard-00002-label.npy", lambda path: np.save(path, np.zeros(3))),
        ("shard-00002-x_adv.npy", lambda path: np.save(path, np.zeros((3, 28, 28), np.float32))),
        ("set.json", lambda path: path.unlink()),
        ("set.json", cut),
        ("set.json", lambda path: path.write_text("[]")),
        ("set.json", change_metadata(schema=2)),
        ("set.json", change_metadata(images=22)),
        ("set.json", change_metadata(images=0, shard_sizes=[])),
    ],
)
def test_damage_names_the_file_and_the_way_out(tmp_path, name, damage):
    write(tmp_path)
    if name == "set.json" and damage is cut:
        (tmp_path / name).write_text((tmp_path / name).read_text()[:-5])
    else:
        damage(tmp_path / name)
    with pytest.raises(UserError) as caught:
        AdversarialSet.open(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "delete the folder and run again to rebuild it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_of_another_length_than_recorded_is_damage(tmp_path):
    write(tmp_path)
    ShardWriter(tmp_path, 10).write(2, *made(4, 3))
    with pytest.raises(UserError, match="received 4 images, expected 3"):
        AdversarialSet.open(tmp_path)


def test_rows_out_of_range_are_an_error(tmp_path):
    write(tmp_path)
    opened = AdversarialSet.open(tmp_path)
    for row in (-1, 23):
        with pytest.raises(IndexError, match="expected 0 to 22"):
            opened.gather(np.array([row]))
    assert opened.gather(np.array([], int))[0].shape == (0, 28, 28, 1)


def test_dataset_streams_in_order_with_the_rest_at_the_end(tmp_path):
    x_adv, index, label = write(tmp_path)
    batches = list(AdversarialSet.open(tmp_path).dataset(8).as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == [8, 8, 7]
    for field, expected in (("x_adv", x_adv), ("index", index), ("label", label)):
        np.testing.assert_array_equal(np.concatenate([batch[field] for batch in batches]), expected)


@pytest.fixture
def pairs(tmp_path):
    """Two sets, and what they hold end to end."""
    first, second = write(tmp_path / "a", 23, 2), write(tmp_path / "b", 11, 3, shard_size=4)
    sets = [AdversarialSet.open(tmp_path / name) for name in ("a", "b")]
    x_adv, index, label = (np.concatenate(both) for both in zip(first, second, strict=True))
    return PairedSets(sets, CLEAN, LABELS), x_adv, CLEAN[index] / np.float32(255), label


def test_pairs_match_brute_force(pairs):
    paired, *expected = pairs
    assert len(paired) == 34
    for seed in range(5):
        rows = np.random.default_rng(seed).integers(0, 34, 50)
        for got, values in zip(paired.batch(rows), expected, strict=True):
            assert got.dtype == values.dtype
            np.testing.assert_array_equal(got, values[rows])


def test_sets_that_do_not_fit_the_split_are_refused(tmp_path):
    write(tmp_path)
    opened = AdversarialSet.open(tmp_path)
    for clean, labels in ((CLEAN[:20], LABELS[:20]), (CLEAN, (LABELS + 1) % 10)):
        with pytest.raises(UserError, match="does not fit the split"):
            PairedSets([opened], clean, labels)
    with pytest.raises(UserError, match="received none"):
        PairedSets([], CLEAN, LABELS)


def test_training_batches_are_the_epochs_in_order(pairs):
    paired, x_adv, clean, label = pairs
    batches = list(
        training_dataset(paired, 5, seed=9, start_step=0, total_steps=14).as_numpy_iterator()
    )
    assert len(batches) == 14
    for step, batch in enumerate(batches):
        epoch, place = step // 6, step % 6  # 34 pairs: six steps, four pairs dropped
        rows = epoch_order(34, 9, epoch)[5 * place : 5 * place + 5]
        np.testing.assert_array_equal(batch["x_adv"], x_adv[rows])
        np.testing.assert_array_equal(batch["x"], clean[rows])
        np.testing.assert_array_equal(batch["label"], label[rows])


def test_training_resumes_exactly_and_shapes_are_static(pairs):
    paired = pairs[0]
    whole = list(training_dataset(paired, 5, 9, 0, 14).as_numpy_iterator())
    for start in (0, 3, 6, 11, 14):
        dataset = training_dataset(paired, 5, 9, start, 14)
        rest = list(dataset.as_numpy_iterator())
        assert len(rest) == 14 - start
        for one, other in zip(rest, whole[start:], strict=True):
            assert all(
                one[field].tobytes() == other[field].tobytes() for field in ("x_adv", "x", "label")
            )
        shapes = {field: spec.shape.as_list() for field, spec in dataset.element_spec.items()}
        assert shapes == {"x_adv": [5, 28, 28, 1], "x": [5, 28, 28, 1], "label": [5]}
    with pytest.raises(UserError, match="received 35, expected 1 to 34"):
        training_dataset(paired, 35, 9, 0, 1)
