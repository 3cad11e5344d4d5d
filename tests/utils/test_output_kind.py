"""Logits, probabilities, and what could be either, by what they are made of."""

import numpy as np
import pytest

from madvae_tf.utils.output_kind import read_outputs

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(32, 10)) * 8
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def bfloat16(values):
    """Values of 8 significant bits."""
    return (values.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize(
    ("values", "outputs", "doubt"),
    [
        (LOGITS, "logits", False),
        (LOGITS * 1e-3, "logits", False),
        (np.maximum(LOGITS, 0), "logits", False),
        (np.log(SOFTMAX), "logits", False),
        (LOGITS - LOGITS.min() + 1, "logits", False),
        (np.zeros((4, 10)), "logits", False),
        (np.full((4, 10), 7.0), "logits", False),
        (SOFTMAX, "probabilities", False),
        (SOFTMAX[:1], "probabilities", False),
        (np.eye(10), "probabilities", False),
        (SOFTMAX * 1.002, "probabilities", True),
        (SOFTMAX * 0.99, "probabilities", True),
        (SOFTMAX[:1] * 0.99, "probabilities", True),
        (SOFTMAX * 100, "probabilities", True),
        (bfloat16(SOFTMAX), "probabilities", True),
        (1 / (1 + np.exp(-LOGITS)), "logits", True),
    ],
)
def test_reading(values, outputs, doubt):
    found = read_outputs(values)
    assert (found.outputs, bool(found.doubt)) == (outputs, doubt), found
    if doubt:
        assert (
            "probabilities" in found.doubt and "logits" in found.doubt and "\n" not in found.doubt
        )
