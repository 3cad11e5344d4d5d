"""The loop: a run that was killed ends with the bits of one that was not, logs included."""

import csv
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from madvae_tf.data.batches import in_order, training_dataset
from madvae_tf.training.callbacks import MeanLog, Progress, PurifierPictures
from madvae_tf.training.loop import default_strategy, evaluate_steps, restore_newest, train

STEPS, EPOCHS, CHECKPOINT = 5, 2, 4


def run(tiny, pairs, kind, folder, extra=(), seed=3):
    """Trains 10 steps in `folder`, from its checkpoint if it has one; returns the trainer and the
    first step.
    """
    trainer = tiny.MAKERS[kind](seed=seed)
    x_adv, x, _ = pairs.batch(np.arange(4))
    callbacks = [Progress(kind, STEPS * EPOCHS), MeanLog(folder, 2)]
    callbacks += (
        [PurifierPictures(folder, {"x_adv": x_adv, "x": x}, 5)] if kind == "purifier" else []
    )
    start = train(
        trainer,
        lambda step: training_dataset(pairs, 8, 7, step, STEPS * EPOCHS),
        STEPS,
        EPOCHS,
        default_strategy(),
        folder / "checkpoints",
        CHECKPOINT,
        [*callbacks, *extra],
        lambda: evaluate_steps(trainer, in_order(pairs, 16)),
    )
    return trainer, start


@pytest.fixture(scope="module", params=["classifier", "purifier"])
def unbroken(request, tiny, pairs, tmp_path_factory):
    """(kind, folder, every number of the trainer) of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp(request.param)
    trainer, start = run(tiny, pairs, request.param, folder)
    assert start == 0 and int(trainer.optimizer.iterations) == STEPS * EPOCHS
    return request.param, folder, tiny.state(trainer)


@pytest.mark.parametrize(("kills", "resumed_at"), [([1], 0), ([5, 8], 8)])
def test_a_killed_run_ends_with_the_bits_of_an_unbroken_one(
    tiny, pairs, tmp_path, unbroken, kills, resumed_at
):
    kind, folder, expected = unbroken
    for kill in kills:
        with pytest.raises(tiny.Killed):
            run(tiny, pairs, kind, tmp_path, [tiny.KillAfter(kill)])
    # Other initial weights, once there is a checkpoint: all that matters must come out of it.
    trainer, start = run(tiny, pairs, kind, tmp_path, seed=3 if resumed_at == 0 else 99)
    assert start == resumed_at
    got = tiny.state(trainer)
    assert len(got) == len(expected) >= 8  # two weights with two moments each, rate and step
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    assert (tmp_path / "log.csv").read_bytes() == (folder / "log.csv").read_bytes()


@pytest.mark.parametrize(("damaged", "resumed_at"), [((8,), 4), ((4, 8), 0)])
def test_a_damaged_checkpoint_is_passed_over(tiny, pairs, tmp_path, unbroken, damaged, resumed_at):
    """The second half of the newest file is zeros: what comes before it has been read when that is
    found.
    """
    kind, _, expected = unbroken
    with pytest.raises(tiny.Killed):
        run(tiny, pairs, kind, tmp_path, [tiny.KillAfter(8)])
    for step in damaged:
        (path,) = (tmp_path / "checkpoints").glob(f"ckpt-{step}.data*")
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    trainer, start = run(tiny, pairs, kind, tmp_path)
    assert start == resumed_at
    for one, other in zip(tiny.state(trainer), expected, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_checkpoint_is_passed_over_wherever_it_ends(tmp_path, share):
    """TensorFlow says so by errors of several classes, its own and Python's."""
    weights = [keras.Variable(np.arange(1000.0) + number) for number in range(3)]
    model = tf.train.Checkpoint(weights=[weight.value for weight in weights])
    manager = tf.train.CheckpointManager(model, str(tmp_path), max_to_keep=2)
    manager.save(checkpoint_number=1)
    for weight in weights:
        weight.assign(weight + 1)
    manager.save(checkpoint_number=2)
    (path,) = tmp_path.glob("ckpt-2.data*")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for weight in weights:
        weight.assign(-weight)
    restore_newest(model, manager, weights)
    for number, weight in enumerate(weights):
        np.testing.assert_array_equal(weight, np.arange(1000.0) + number)


def test_a_finished_run_only_restores(tiny, pairs, tmp_path, unbroken):
    kind, original, expected = unbroken
    folder = shutil.copytree(original, tmp_path / kind)
    log = (folder / "log.csv").read_bytes()
    trainer, start = run(tiny, pairs, kind, folder, [tiny.KillAfter(STEPS * EPOCHS)], seed=99)
    assert start == STEPS * EPOCHS
    assert all(
        one.tobytes() == other.tobytes()
        for one, other in zip(tiny.state(trainer), expected, strict=True)
    )
    assert (folder / "log.csv").read_bytes() == log


def test_the_log_has_a_row_every_two_steps_and_validation_at_the_epochs(unbroken):
    kind, folder, _ = unbroken
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 5, 6, 8, 10]
    assert [bool(row["val_loss"]) for row in rows] == [False, False, True, False, False, True]
    assert [bool(row["loss"]) for row in rows] == [True, True, False, True, True, True]
    assert float(rows[0]["learning_rate"]) == pytest.approx(1e-3)
    names = (
        {"classification", "proximity", "distance", "kl", "reconstruction"}
        if kind == "purifier"
        else {"accuracy"}
    )
    assert names | {"loss", "val_accuracy"} <= set(rows[0])


def test_tensorboard_reads_terms_rate_pictures_and_centres(unbroken):
    kind, folder, _ = unbroken
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    tags = set(events.Tags()["tensors"])
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in set(rows[0]) - {"step"}:
        group = "validation" if name.startswith("val_") else "train"
        read = {
            e.step: float(tf.make_ndarray(e.tensor_proto))
            for e in events.Tensors(f"{group}/{name.removeprefix('val_')}")
        }
        assert read == pytest.approx(
            {int(row["step"]): float(row[name]) for row in rows if row[name]}
        )
    assert "train/learning_rate" in tags
    if kind == "classifier":
        return
    terms = {
        f"train/{term}"
        for term in ("reconstruction", "kl", "classification", "proximity", "distance")
    }
    assert terms | {"centers/norm"} | {f"centers/norm_{label}" for label in range(10)} <= tags
    pictures = events.Tensors("clean, adversarial, purified")
    assert [event.step for event in pictures] == [1, 5, 10]
    image = tf.io.decode_png(tf.make_ndarray(pictures[0].tensor_proto)[2]).numpy()
    assert image.shape[:2] == (3 * 28, 4 * 28)


class Recorder(keras.callbacks.Callback):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_train_begin(self, logs=None):
        self.told.append(
            ("begin", (logs or {}).get("step"), self.params["steps"], self.params["epochs"])
        )

    def on_train_batch_end(self, batch, logs=None):
        self.told.append(("step", batch))

    def on_epoch_end(self, epoch, logs=None):
        self.told.append(("epoch", epoch, "val_loss" in (logs or {})))

    def on_train_end(self, logs=None):
        self.told.append(("end",))


def test_callbacks_are_told_of_every_step_and_epoch_once(tiny, pairs, tmp_path):
    first, rest = Recorder(), Recorder()
    with pytest.raises(tiny.Killed):
        run(tiny, pairs, "classifier", tmp_path, [first, tiny.KillAfter(6)])
    run(tiny, pairs, "classifier", tmp_path, [rest])
    steps = [("step", step) for step in range(10)]
    assert first.told == [("begin", 0, 5, 2), *steps[:5], ("epoch", 0, True), *steps[5:7]]
    assert rest.told == [
        ("begin", 4, 5, 2),
        steps[4],
        ("epoch", 0, True),
        *steps[5:],
        ("epoch", 1, True),
        ("end",),
    ]


def test_evaluate_steps_weighs_the_last_short_batch_by_its_size(tiny, pairs):
    trainer = tiny.make_classifier()
    got = evaluate_steps(trainer, in_order(pairs, 16))  # 16, 16 and 8
    whole = {
        name: float(value)
        for name, value in trainer.test_step(
            dict(zip(pairs.fields, pairs.batch(np.arange(40)), strict=True))
        ).items()
    }
    assert got == pytest.approx(whole, rel=1e-5)
