"""cleverhans' TensorFlow attacks as its tutorial calls them: the Keras model, a batch, the numbers."""  # noqa: E501

import time
from typing import Any

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.attacks.momentum_iterative_method import momentum_iterative_method
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from benchmarks.material import weights_in
from madvae_tf.models.classifiers import Table6Classifier

_state: dict[str, Any] = {}
# Its own check of the box fails by a rounding.
_BOX = {"clip_min": 0.0, "clip_max": 1.0, "sanity_checks": False}


def load(material: str, images: int) -> None:
    """The classifier with the shared weights, and the first `images` images."""
    values = np.load(material)
    model = Table6Classifier(dropout=0.0)
    model.set_weights(weights_in(values))
    _state.update(model=model, y=values["labels"][:images])
    _state["x"] = values["images"][:images].astype(np.float32) / 255


def _attack(name: str, p: dict[str, Any], x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    model = _state["model"]
    if name == "fgsm":
        return fast_gradient_method(model, x, p["epsilon"], np.inf, y=y, **_BOX)
    if name == "rand_fgsm":
        start = tf.clip_by_value(x + p["alpha"] * tf.sign(tf.random.normal(tf.shape(x))), 0.0, 1.0)
        return fast_gradient_method(model, start, p["epsilon"] - p["alpha"], np.inf, y=y, **_BOX)
    steps = p["step_size"], p["iterations"], np.inf
    if name == "pgd":
        return projected_gradient_descent(model, x, p["epsilon"], *steps, y=y, **_BOX)
    return momentum_iterative_method(
        model, x, p["epsilon"], *steps, y=y, decay_factor=p["decay"], **_BOX
    )


def images_per_second(attack: str, parameters: dict[str, Any], batch: int) -> float:
    """Of all images, batch by batch."""
    x, y = _state["x"], _state["y"]
    start = time.perf_counter()
    for row in range(0, len(x), batch):
        part = tf.constant(x[row : row + batch]), tf.constant(y[row : row + batch])
        _attack(attack, parameters, *part).numpy()
    return len(x) / (time.perf_counter() - start)


OPERATIONS = {"load": load, "images_per_second": images_per_second}
