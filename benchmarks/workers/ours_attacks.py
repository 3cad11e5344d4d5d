"""Our attacks on the Table 6 classifier, and the judge of everybody's CW images."""

import functools
import time
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.material import weights_in
from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack
from madvae_tf.evaluation.oblivious import batched
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.copies import in_precision

_state: dict[str, Any] = {}


def load(material: str, images: int) -> None:
    """The classifier with the shared weights, and the first `images` images."""
    values = np.load(material)
    classifier = Table6Classifier(dropout=0.0)
    classifier.set_weights(weights_in(values))
    _state["targets"] = {
        precision: DefendedModel(
            logits=functools.partial(in_precision(classifier, precision), training=False)
        )
        for precision in ("float32", "mixed_bfloat16")
    }
    _state["target"] = _state["targets"]["float32"]
    _state["x"] = values["images"][:images].astype(np.float32) / 255
    _state["y"] = values["labels"][:images]


def logits(count: int) -> list[list[float]]:
    """Of the first images, to see that every library attacks the same function."""
    return np.asarray(_state["target"].logits(tf.constant(_state["x"][:count]))).tolist()


def _run(attack: str, parameters: dict[str, Any], batch: int) -> Any:
    return run_attack(
        ATTACKS[attack](**parameters),
        _state["target"],
        _state["x"],
        _state["y"],
        (0, 0),
        batch_size=batch,
    )


def images_per_second(
    attack: str, parameters: dict[str, Any], batch: int, precision: str = "float32"
) -> float:
    """Of all images, batch by batch: the attack alone, as of the peers, without the driver's
    checks.
    """
    crafter, target = ATTACKS[attack](**parameters), _state["targets"][precision]
    x, y = _state["x"], _state["y"]
    start = time.perf_counter()
    for row in range(0, len(x), batch):
        crafter(
            target, tf.constant(x[row : row + batch]), tf.constant(y[row : row + batch]), (0, row)
        ).numpy()
    return len(x) / (time.perf_counter() - start)


def success(attack: str, parameters: dict[str, Any], batch: int, precision: str) -> float:
    """The share of images that the float32 classifier gets wrong after an attack on its twin of
    `precision`.
    """
    target = _state["targets"][precision]
    x, y = _state["x"], _state["y"]
    attacked = run_attack(
        ATTACKS[attack](**parameters), target, x, y, (0, 0), batch_size=batch
    ).x_adv
    predicted = batched(tf.function(_state["target"].logits), attacked, batch).argmax(1)
    return float((predicted != y).mean())


def craft(attack: str, parameters: dict[str, Any], batch: int, path: str) -> float:
    """Seconds of one run on all images; the attacked images go to `path` (.npy, float32 (n, 28, 28,
    1)).
    """
    start = time.perf_counter()
    result = _run(attack, parameters, batch)
    seconds = time.perf_counter() - start
    np.save(path, result.x_adv)
    return seconds


def judge(path: str) -> dict[str, float]:
    """success rate and median L2 of attacked images; those that did not succeed count as infinitely
    far.
    """
    attacked = np.load(path).astype(np.float32)
    predicted = np.asarray(_state["target"].logits(tf.constant(attacked))).argmax(1)
    distance = np.linalg.norm((attacked - _state["x"]).reshape(len(attacked), -1), axis=1)
    success = predicted != _state["y"]
    return {
        "success": float(success.mean()),
        "median_l2": float(np.median(np.where(success, distance, 1e9))),
        "mean_l2_of_successes": float(distance[success].mean()) if success.any() else 0.0,
    }


def flops_per_gradient(batch: int = 2) -> float:
    """Of one gradient of the logits with respect to an image, the forward pass included; of a new
    classifier where none is loaded.
    """
    from benchmarks.flops import count_flops

    target = _state.get("target") or DefendedModel(Table6Classifier(dropout=0.0))

    @tf.function
    def gradient(x: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(target.logits(x))
        return tape.gradient(total, x)

    spec = tf.TensorSpec((batch, 28, 28, 1), tf.float32)
    return count_flops(gradient.get_concrete_function(spec)) / batch


OPERATIONS = {
    "load": load,
    "success": success,
    "logits": logits,
    "images_per_second": images_per_second,
    "craft": craft,
    "judge": judge,
    "flops_per_gradient": flops_per_gradient,
}
