"""A training that diverges ends with one line, in every trainer; a value or weight that is not
finite is in no checkpoint.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.batches import in_order, training_dataset
from madvae_tf.models.finite import check_finite
from madvae_tf.training.callbacks import MeanLog
from madvae_tf.training.divergence import Diverged
from madvae_tf.training.loop import evaluate_steps, train

STEPS, EPOCHS = 30, 1


class Line(keras.Model):
    """One weight w, 1 at the start; the loss of step i is `losses[i]`, and `updates[i]` is added to
    the weight.
    """

    def __init__(self, losses, updates=None):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="ones", name="w")
        self.losses_told, self.updates = (
            tf.constant(losses),
            tf.constant(updates or [0.0] * len(losses)),
        )
        self.built = True
        self.compile(optimizer=keras.optimizers.SGD(0.25))

    def train_step(self, data):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        self.weight.assign_add(self.updates[step])
        self.optimizer.apply_gradients([(tf.zeros(()), self.weight)])
        return {"loss": self.losses_told[step], "other": tf.constant(1.0)}

    def test_step(self, data):
        return {"loss": self.weight * tf.ones(())}


def run(trainer, pairs, folder, epochs=EPOCHS, checkpoint=10, validation=None):
    train(
        trainer,
        lambda start: training_dataset(pairs, 8, 7, start, STEPS * epochs),
        STEPS,
        epochs,
        tf.distribute.get_strategy(),
        folder / "checkpoints",
        checkpoint,
        [MeanLog(folder, 10)],
        validation,
    )


def finite_but(bad, value, n=STEPS):
    return [value if step == bad else 1.0 for step in range(n)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bad", [0, 12, 29])
def test_the_first_bad_step_is_named_and_no_checkpoint_comes_after_it(pairs, tmp_path, bad, value):
    with pytest.raises(Diverged, match=rf"at step {bad + 1} of 30: loss is {value}") as caught:
        run(Line(finite_but(bad, value)), pairs, tmp_path)
    line = str(caught.value)
    assert "learning rate 0.25" in line and "smaller learning_rate" in line and "\n" not in line
    saved = [
        int(path.stem.partition("-")[2]) for path in (tmp_path / "checkpoints").glob("*.index")
    ]
    assert all(step <= bad for step in saved) and len(saved) == bad // 10
    # Run again with a checkpoint before it, it says the same.
    with pytest.raises(Diverged, match=rf"at step {bad + 1} of 30"):
        run(Line(finite_but(bad, value)), pairs, tmp_path)


@pytest.mark.parametrize(("bad", "known"), [(3, 10), (29, 30)])
def test_a_weight_is_seen_where_every_loss_is_finite(pairs, tmp_path, bad, known):
    updates = [np.nan if step == bad else 0.0 for step in range(STEPS)]
    with pytest.raises(Diverged, match=f"at step {known} of 30: a weight is NaN or infinite"):
        run(Line([1.0] * STEPS, updates), pairs, tmp_path)
    assert not list((tmp_path / "checkpoints").glob(f"ckpt-{known}*"))


def test_a_validation_that_is_not_finite_is_no_success(pairs, tmp_path):
    with pytest.raises(Diverged, match="at step 30 of 30: val_loss is nan"):
        run(Line([1.0] * STEPS), pairs, tmp_path, validation=lambda: {"loss": float("nan")})


def test_real_trainers_say_so(tiny, pairs, tmp_path):
    """A learning rate far too high, in each of the trainers with an optimizer of its own."""
    for kind, make in (("classifier", tiny.make_classifier), ("purifier", tiny.make_purifier)):
        trainer = make(optimizer=keras.optimizers.SGD(1e38))
        with pytest.raises(Diverged, match=r"learning rate 1e\+38"):
            run(trainer, pairs, tmp_path / kind)


def test_what_is_finite_passes(pairs, tmp_path):
    trainer = Line([1.0] * STEPS)
    run(trainer, pairs, tmp_path)
    check_finite(trainer, "line")
    trainer.weight.assign(np.inf)
    with pytest.raises(ValueError, match="Invalid line: received weights that are NaN or infinite"):
        check_finite(trainer, "line")


def test_validation_is_traced_once(pairs, tmp_path):
    traces = []

    class Counting(Line):
        def test_step(self, data):
            traces.append(1)
            return super().test_step(data)

    trainer = Counting([1.0] * 2 * STEPS)
    batches = in_order(pairs, 8)
    run(trainer, pairs, tmp_path, epochs=2, validation=lambda: evaluate_steps(trainer, batches))
    assert len(traces) == 1
    trainer.weight.assign(4.0)
    assert evaluate_steps(trainer, batches) == {"loss": 4.0} and len(traces) == 1
