"""Batches against brute force: the order of epochs, exact starts in the middle, validation in
order.
"""

import numpy as np
import pytest

from madvae_tf.data.batches import (
    CleanImages,
    IdentityPairs,
    epoch_order,
    in_order,
    training_dataset,
)
from madvae_tf.data.prepare import Split
from madvae_tf.utils.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (34, 28, 28, 1), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 34)
SPLIT = Split(IMAGES, LABELS)


def test_epoch_order_depends_on_seed_and_epoch_alone():
    orders = {(seed, epoch): epoch_order(50, seed, epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert all(
        sorted(order) == list(range(50)) and order.dtype == np.int64 for order in orders.values()
    )
    assert len({order.tobytes() for order in orders.values()}) == 4
    np.random.default_rng().random()
    np.testing.assert_array_equal(epoch_order(50, 1, 1), orders[1, 1])
    # Held to a value, because a resumed run may have been started by another version of the
    # libraries.
    assert epoch_order(8, 3, 2).tolist() == [6, 5, 0, 7, 2, 1, 3, 4]


@pytest.mark.parametrize("rows", [None, np.array([30, 2, 2, 17, 5, 9, 11, 0, 33, 21, 4])])
def test_training_batches_are_the_epochs_in_order(rows):
    images = CleanImages(SPLIT, rows)
    picked = np.arange(34) if rows is None else rows
    assert len(images) == len(picked)
    per_epoch = len(picked) // 5  # the rest of an epoch is dropped
    batches = list(
        training_dataset(images, 5, seed=9, start_step=0, total_steps=14).as_numpy_iterator()
    )
    assert len(batches) == 14
    for step, batch in enumerate(batches):
        epoch, place = step // per_epoch, step % per_epoch
        expected = picked[epoch_order(len(picked), 9, epoch)[5 * place : 5 * place + 5]]
        assert batch["x"].dtype == np.float32 and batch["label"].dtype == np.int64
        np.testing.assert_array_equal(batch["x"], IMAGES[expected] / np.float32(255))
        np.testing.assert_array_equal(batch["label"], LABELS[expected])


@pytest.mark.parametrize("start", [0, 3, 6, 11, 14])
def test_a_start_in_the_middle_gives_the_rest_of_an_unbroken_run(start):
    whole = list(training_dataset(CleanImages(SPLIT), 5, 9, 0, 14).as_numpy_iterator())
    dataset = training_dataset(CleanImages(SPLIT), 5, 9, start, 14)
    rest = list(dataset.as_numpy_iterator())
    assert len(rest) == 14 - start
    for one, other in zip(rest, whole[start:], strict=True):
        assert all(one[field].tobytes() == other[field].tobytes() for field in ("x", "label"))
    shapes = {field: spec.shape.as_list() for field, spec in dataset.element_spec.items()}
    assert shapes == {"x": [5, 28, 28, 1], "label": [5]}


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match="received 35, expected 1 to 34"):
        training_dataset(CleanImages(SPLIT), 35, 9, 0, 1)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(10, [10, 10, 10, 4]), (17, [17, 17]), (50, [34])]
)
def test_in_order_gives_every_row_once(batch_size, sizes):
    batches = list(in_order(CleanImages(SPLIT), batch_size).as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([batch["label"] for batch in batches]), LABELS)
    np.testing.assert_array_equal(
        np.concatenate([batch["x"] for batch in batches]), IMAGES / np.float32(255)
    )


def test_identity_pairs_are_clean_images_twice():
    pairs = IdentityPairs(SPLIT)
    (batch,) = in_order(pairs, len(pairs))
    np.testing.assert_array_equal(batch["x_adv"], batch["x"])
    np.testing.assert_allclose(batch["x"], IMAGES / np.float32(255), atol=1e-7)
    np.testing.assert_array_equal(batch["label"], LABELS)
