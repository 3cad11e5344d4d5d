"""Generation: a shard's bytes depend on its seed and number alone; settings draw apart; rows are
drawn once.
"""

import ctypes
import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, RandFGSM
from madvae_tf.attacks.base import Attack
from madvae_tf.config.parameters import parameter
from madvae_tf.data.adversarial_sets import AdversarialSet
from madvae_tf.data.generate import draw_rows, generate_set
from madvae_tf.data.prepare import Split, to_float

RNG = np.random.default_rng(0)
SPLIT = Split(RNG.integers(0, 256, (90, 28, 28, 1), dtype=np.uint8), RNG.integers(0, 10, 90))
KERNEL = tf.constant(RNG.standard_normal((784, 10)), tf.float32)
TARGET = DefendedModel(logits=lambda x: tf.reshape(x, (-1, 784)) @ KERNEL)
ROWS = draw_rows(90, 43, 5)
SHARDS = 5  # of 10, 10, 10, 10 and 3


def generate(folder, attack=None, split_name="test", seed=5, rows=ROWS, progress=None):
    metadata = {"dataset": "mnist", "split": split_name}
    attack = attack or RandFGSM(epsilon=0.3, alpha=0.1)
    generate_set(folder, attack, TARGET, SPLIT, rows, seed, 5, 10, metadata, progress)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, generate(folder)


def test_the_set_holds_the_rows_attacked_within_the_budget(made):
    opened = AdversarialSet.open(made[0])
    x_adv, index = opened.gather(np.arange(43))
    np.testing.assert_array_equal(index, ROWS)
    np.testing.assert_array_equal(opened.labels, SPLIT.labels[ROWS])
    moved = np.abs(x_adv - to_float(SPLIT.images[ROWS]))
    assert 0.25 < moved.max() <= 0.3 + 1e-6 and x_adv.min() >= 0 and x_adv.max() <= 1
    written = json.loads(made[1]["set.json"])
    expected = {"dataset": "mnist", "split": "test", "attack": "rand_fgsm", "seed": 5}
    assert {key: written[key] for key in expected} == expected
    assert written["parameters"] == {"epsilon": 0.3, "alpha": 0.1} and written["images"] == 43


@pytest.mark.parametrize("lost", [[0], [1], [4], [3, 0], [0, 1, 2, 3, 4]])
def test_shards_that_were_lost_come_out_with_the_same_bytes(made, tmp_path, lost):
    for name, content in made[1].items():
        if name != "set.json" and int(name.split("-")[1]) not in lost:
            (tmp_path / name).write_bytes(content)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    done = []
    assert generate(tmp_path, progress=done.append) == made[1]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == kept
    finished = sum(3 if shard == 4 else 10 for shard in range(SHARDS) if shard not in lost)
    assert sum(done) == 43 and (done[0] == finished if finished else done[0] <= 5)


@pytest.mark.parametrize("change", [{"seed": 6}, {"split_name": "validation"}])
def test_another_seed_or_split_draws_other_noise(made, tmp_path, change):
    got = generate(tmp_path, **change)
    assert got["shard-00000-x_adv.npy"] != made[1]["shard-00000-x_adv.npy"]
    assert got["shard-00000-index.npy"] == made[1]["shard-00000-index.npy"]


@dataclasses.dataclass(frozen=True)
class Seeds(Attack):
    """No attack: it keeps the seeds that it was given."""

    name: ClassVar[str] = "seeds"
    given: ClassVar[list] = []
    strength: float = parameter(0.1)

    def __call__(self, target, x, y, seed):
        self.given.append(seed)
        return x


def test_settings_and_batches_draw_from_seeds_of_their_own(tmp_path):
    given = []
    for number, strength in enumerate((0.1, 0.2, 0.1)):
        Seeds.given.clear()
        generate(tmp_path / str(number), Seeds(strength))
        given.append(list(Seeds.given))
    assert given[0] == given[2]
    assert len(given[0]) == 9  # batches of 5
    assert len(set(given[0] + given[1])) == 18


@dataclasses.dataclass(frozen=True)
class LaterSeeds(Seeds):
    """The same attack in a later version: a field more."""

    repeats: int = parameter(1)


def test_a_field_that_joins_an_attack_changes_no_draw(tmp_path):
    given = []
    for number, attack in enumerate((Seeds(0.2), LaterSeeds(0.2), LaterSeeds(0.2, 2))):
        Seeds.given.clear()
        generate(tmp_path / str(number), attack)
        given.append(list(Seeds.given))
    assert given[0] == given[1] != given[2]


@pytest.mark.parametrize("wanted", [1, 43, 89])
def test_drawn_rows_are_distinct_sorted_and_depend_on_all_numbers(wanted):
    rows = draw_rows(90, wanted, 5, 1, 2)
    assert rows.dtype == np.int64 and len(rows) == wanted
    assert (np.diff(rows) > 0).all() and rows[0] >= 0 and rows[-1] < 90
    np.testing.assert_array_equal(draw_rows(90, wanted, 5, 1, 2), rows)
    if wanted == 43:
        others = [
            draw_rows(90, wanted, *numbers) for numbers in ((6, 1, 2), (5, 1, 3), (5, 2, 1), (5, 1))
        ]
        assert not any(np.array_equal(other, rows) for other in others)


@pytest.mark.parametrize("wanted", [0, 90, 500])
def test_all_rows_are_taken_where_none_are_left_out(wanted):
    np.testing.assert_array_equal(draw_rows(90, wanted, 5), np.arange(90))


def test_fewer_rows_of_one_draw_are_among_the_more():
    assert set(draw_rows(90, 20, 5, 7)) < set(draw_rows(90, 50, 5, 7))


def test_draws_cover_the_whole_split():
    """The first half of MNIST's test images is the easier one."""
    rows = draw_rows(10_000, 1000, 0, 1)
    assert 440 < (rows < 5000).sum() < 560


class _Mallinfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`: its fourth figure, hblks, is how many allocations have pages of
    their own.
    """

    _fields_ = [
        ("before", ctypes.c_size_t * 3),
        ("hblks", ctypes.c_size_t),
        ("after", ctypes.c_size_t * 6),
    ]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later")
def test_memory_that_was_given_back_is_used_again(made):
    """glibc learns from the first large allocation that is freed; tf.data's generator puts an end
    to that, and every tensor is new pages from there on.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes, libc.mallinfo2.restype = [ctypes.c_void_p], _Mallinfo2
    # Below the 32 MiB that the threshold may rise to.
    size = 20 << 20
    libc.free(libc.malloc(size))
    before = libc.mallinfo2().hblks
    again = libc.malloc(size)
    assert again and libc.mallinfo2().hblks == before
    libc.free(again)
