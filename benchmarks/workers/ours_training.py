"""Our training step as `configs/quick.py` runs it: `training.loop`'s compiled step on the trainer
of a variant, fused Adam.
"""

import time
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.config.variants import weights_of
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.classifier import build_classifier
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.loop import compiled_step, default_strategy
from madvae_tf.training.optimizers import FusedAdam

WEIGHTS = {"alpha": 0.1, "beta": 0.1, "gamma": 0.1, "proximity": 0.01, "sigma": 1e-5}
_steps: dict[tuple, Any] = {}


def make_trainer(variant: str, precision: str) -> DefenseTrainer:
    """The trainer of a variant with new weights, compiled."""
    keras.utils.set_random_seed(0)
    frozen = build_classifier("table6", 0.0, precision)
    trainer = DefenseTrainer(DefenseVAE(dtype=precision), frozen, weights_of(variant, WEIGHTS), 0)
    trainer.compile(optimizer=FusedAdam(1e-3))  # pyright: ignore[reportArgumentType]
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def random_batch(batch: int) -> dict[str, tf.Tensor]:
    """Numbers in place of images: a step's time does not depend on them."""
    draw = lambda k: tf.random.stateless_uniform((batch, 28, 28, 1), (0, k))  # noqa: E731
    label = tf.random.stateless_uniform((batch,), (0, 2), 0, 10, tf.int64)
    return {"x_adv": draw(0), "x": draw(1), "label": label}


def images_per_second(variant: str, batch: int, precision: str, steps: int) -> float:
    """Of `steps` steps on one batch that is in memory; the first call of a setting compiles."""
    key = (variant, batch, precision)
    if key not in _steps:
        strategy = default_strategy()
        with strategy.scope():
            trainer = make_trainer(variant, precision)
        _steps[key] = compiled_step(trainer, strategy), random_batch(batch)
        for _ in range(2):
            _steps[key][0](_steps[key][1])
    step, data = _steps[key]
    start = time.perf_counter()
    for _ in range(steps):
        # As the loop does: every logged value is read.
        {name: float(value) for name, value in step(data).items()}
    return batch * steps / (time.perf_counter() - start)


def flops_per_image(variant: str, batch: int = 2) -> float:
    """Of one training step, counted in its graph."""
    from benchmarks.flops import count_flops

    trainer = make_trainer(variant, "float32")
    step = tf.function(trainer.train_step).get_concrete_function(random_batch(batch))
    return count_flops(step) / batch


def forget() -> None:
    """Frees what was made for the settings so far."""
    _steps.clear()


OPERATIONS = {
    "images_per_second": images_per_second,
    "flops_per_image": flops_per_image,
    "forget": forget,
}
