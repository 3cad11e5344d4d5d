"""The log file: rows are appended, columns may join, and what a kill cut short is dropped."""

import csv

import keras
import numpy as np
import pytest

from madvae_tf.training.callbacks import MeanLog

STEPS = 50  # an epoch


@pytest.fixture
def log(tmp_path):
    def begin(start=0, epochs=4):
        made = MeanLog(tmp_path, 10)
        model = keras.Model()
        model.compile(optimizer=keras.optimizers.SGD(0.5))
        made.set_model(model)
        made.set_params({"steps": STEPS, "epochs": epochs})
        made.on_train_begin({"step": start})
        return made

    return begin


def steps(made, first, last):
    for step in range(first, last):
        made.on_train_batch_end(step, {"loss": np.float32(step), "other": np.float32(2)})
        if (step + 1) % STEPS == 0:
            made.on_epoch_end(step // STEPS, {"loss": 1.0, "val_loss": float(step + 1)})


def rows(made):
    with made.path.open(newline="") as file:
        return list(csv.DictReader(file))


def expected(last):
    """Means over ten steps by hand, with validation in the row of its step."""
    return [
        {
            "step": str(end),
            "loss": f"{end - 5.5:.8g}",
            "other": "2",
            "learning_rate": "0.5",
            "val_loss": str(end) if end % STEPS == 0 else "",
        }
        for end in range(10, last + 1, 10)
    ]


def test_rows_are_means_and_validation_joins_its_step(log):
    made = log()
    steps(made, 0, 120)
    assert rows(made) == expected(120)


def test_a_row_is_appended_and_the_file_stays(log):
    made = log()
    steps(made, 0, 60)  # All columns are known.
    place, size = made.path.stat().st_ino, made.path.stat().st_size
    steps(made, 60, 200)
    assert made.path.stat().st_ino == place
    assert made.path.stat().st_size > size and rows(made) == expected(200)


@pytest.mark.parametrize("cut", [0, 1, 3, 12])
def test_what_comes_after_the_checkpoint_or_was_cut_short_is_written_anew(log, cut):
    whole = log()
    steps(whole, 0, 200)
    content = whole.path.read_bytes()
    # Killed in the middle of the row of step 130; the checkpoint is of step 120.
    ends = content.index(b"\n130,") + 1
    whole.path.write_bytes(content[: ends + cut])
    again = log(start=120)
    steps(again, 120, 200)
    assert again.path.read_bytes() == content


def test_a_row_that_was_cut_to_a_smaller_step_is_not_taken_for_it(log):
    """ "1" of "130" would be a step before the checkpoint."""
    made = log()
    steps(made, 0, 120)
    with made.path.open("a") as file:
        file.write("1")
    log(start=120)
    assert rows(made) == expected(120)


def test_a_run_from_the_start_begins_a_new_file(log):
    made = log()
    steps(made, 0, 70)
    again = log()
    assert not again.path.exists()
    steps(again, 0, 200)
    assert rows(again) == expected(200)
