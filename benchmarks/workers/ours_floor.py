"""The machine's GEMM rates, and counted FLOPs of the forward passes."""

import tensorflow as tf

from benchmarks.flops import count_flops, gemm_rate
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.vae import DefenseVAE


def rates(size: int) -> dict[str, float]:
    """FLOP/s by precision."""
    return {precision: gemm_rate(precision, size) for precision in ("float32", "bfloat16")}


def forward_flops() -> dict[str, int]:
    """Of one image through the purifier and through the classifier."""
    spec = tf.TensorSpec((1, 28, 28, 1), tf.float32)
    models = {"purifier": DefenseVAE(), "classifier": Table6Classifier(dropout=0.0)}
    return {
        name: count_flops(tf.function(model).get_concrete_function(spec))
        for name, model in models.items()
    }


OPERATIONS = {"rates": rates, "forward_flops": forward_flops}
