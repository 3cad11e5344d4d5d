"""Adam's moments and steps (Kingma & Ba 2015), for attacks: each value by itself."""

from typing import Any, NamedTuple

import tensorflow as tf

_FIRST_DECAY, _SECOND_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """The averages of the gradient and of its square; float32, of the gradient's shape."""

    first: tf.Tensor
    second: tf.Tensor

    @classmethod
    def zeros_like(cls, values: tf.Tensor) -> "Moments":
        """Those before the first step."""
        return cls(tf.zeros_like(values), tf.zeros_like(values))

    def updated(self, gradient: tf.Tensor) -> "Moments":
        """Those after one more gradient."""
        return Moments(
            _FIRST_DECAY * self.first + (1 - _FIRST_DECAY) * gradient,
            _SECOND_DECAY * self.second + (1 - _SECOND_DECAY) * tf.square(gradient),
        )

    def step(self, learning_rate: Any, index: tf.Tensor) -> tf.Tensor:
        """The change to subtract in step `index`, from 0.

        Epsilon is added to the root without its correction, as in the end of the paper's section 2.
        """
        first, second = _corrections(index)
        rate = learning_rate * tf.sqrt(second) / first
        return rate * self.first / (tf.sqrt(self.second) + _EPSILON)

    def corrected_step(self, learning_rate: Any, index: tf.Tensor) -> tf.Tensor:
        """The same with epsilon added to the corrected root, as in Algorithm 1.

        The two differ where gradients are next to 0.
        """
        first, second = _corrections(index)
        return learning_rate * (self.first / first) / (tf.sqrt(self.second / second) + _EPSILON)


def _corrections(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """1 - decay^t of both moments."""
    time = tf.cast(index + 1, tf.float32)
    return 1 - tf.pow(_FIRST_DECAY, time), 1 - tf.pow(_SECOND_DECAY, time)
