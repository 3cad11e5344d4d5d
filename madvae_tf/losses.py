"""The loss terms of MAD-VAE (section 2.2); `variants` says which variant uses which.

A term is a pure function of the forward pass that returns one value per example; the loss of a
variant is the batch mean of a weighted sum of terms:

    (L_r + beta L_kl) / pixels  [+ alpha L_c]  [+ proximity L_p - sigma L_d]

L_r and L_kl follow the evidence lower bound: sums over pixels and over latent dimensions. Their sum
is divided by the number of pixels, so that beta weighs what it does in the bound while the other
weights keep their meaning beside a per-pixel mean. `divisors` has the two other readings: the
reference code's, and the plain sum of Defense-VAE.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

# The distance |z - c| has no gradient at 0; the root is taken of the square plus this.
_SQUARE_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class Forward:
    """What one forward pass of a purifier leaves for the terms; all float32 but `label`.

    Attributes:
        clean: (batch, height, width, channels), the images to restore, in [0, 1].
        label: (batch,) int64.
        image_logits: (batch, height, width, channels), the decoder's output before the sigmoid.
        mean, log_variance, z: (batch, latent), the encoder's Gaussian and the sample from it.
        centers: (classes, latent), the class centres c_i, or None.
        class_logits: (batch, classes), the frozen classifier's on the purified images, or None.
        clean_class_logits: (batch, classes), the same for the unattacked image of each row, or
            None.
    """

    clean: tf.Tensor
    label: tf.Tensor
    image_logits: tf.Tensor
    mean: tf.Tensor
    log_variance: tf.Tensor
    z: tf.Tensor
    centers: tf.Tensor | None = None
    class_logits: tf.Tensor | None = None
    clean_class_logits: tf.Tensor | None = None


def reconstruction(forward: Forward) -> tf.Tensor:
    """L_r: binary cross-entropy between the purified and the clean image, summed over pixels;
    (batch,), nats.
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=forward.clean, logits=forward.image_logits
    )
    return tf.reduce_sum(entropy, axis=(1, 2, 3))


def kl_divergence(forward: Forward) -> tf.Tensor:
    """L_kl: KL(N(mean, exp(log_variance)) || N(0, I)), summed over latent dimensions; (batch,),
    nats (A.3).
    """
    terms = tf.square(forward.mean) + tf.exp(forward.log_variance) - forward.log_variance - 1.0
    return 0.5 * tf.reduce_sum(terms, axis=1)


def class_kl(forward: Forward) -> tf.Tensor:
    """KL(N(mean, exp(log_variance)) || N(c_i, I)), summed over latent dimensions; (batch,), nats.

    The prior is a mixture of Gaussians with one component per class, centred at the learnt c_i: a
    latent of one component cannot cover a manifold of ten without joining them (Jang et al. 2019,
    the paper's A.6).
    """
    difference = forward.mean - tf.gather(_centers(forward), forward.label)
    terms = tf.square(difference) + tf.exp(forward.log_variance) - forward.log_variance - 1.0
    return 0.5 * tf.reduce_sum(terms, axis=1)


def classification(forward: Forward) -> tf.Tensor:
    """L_c: the frozen classifier's cross-entropy on the purified image (section 2.2.1); (batch,),
    nats.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=forward.label, logits=forward.class_logits
    )


def consistency(forward: Forward) -> tf.Tensor:
    """KL(p_clean || p) of the system's predictions on the unattacked and on the given image;
    (batch,), nats.

    The regulariser of TRADES (Zhang et al. 2019); the gradient passes through both.
    """
    clean = tf.nn.log_softmax(forward.clean_class_logits)
    return tf.reduce_sum(tf.exp(clean) * (clean - tf.nn.log_softmax(forward.class_logits)), axis=1)


def proximity(forward: Forward) -> tf.Tensor:
    """L_p = |z_i - c_i|, the distance to the centre of the own class (section 2.2.2); (batch,)."""
    return _distance(forward.z - tf.gather(_centers(forward), forward.label))


def distance(forward: Forward) -> tf.Tensor:
    """L_d = 1/(k-1) sum over j != i of (|z_i - c_j| + |c_i - c_j|) (section 2.2.2); (batch,)."""
    centers, label = _centers(forward), forward.label
    classes = tf.shape(centers)[0]
    to_centers = _distance(forward.z[:, None, :] - centers[None, :, :])
    between = _distance(tf.gather(centers, label)[:, None, :] - centers[None, :, :])
    others = 1.0 - tf.one_hot(label, classes)
    return tf.reduce_sum(others * (to_centers + between), axis=1) / tf.cast(classes - 1, tf.float32)


def _centers(forward: Forward) -> tf.Tensor:
    if forward.centers is None:
        raise ValueError(
            "Invalid Forward.centers: received None, expected the centres that L_p and L_d"
            " measure to."
        )
    return forward.centers


def _distance(difference: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(difference), axis=-1) + _SQUARE_FLOOR)


TERMS: dict[str, Callable[[Forward], tf.Tensor]] = {
    "reconstruction": reconstruction,
    "kl": kl_divergence,
    "class_kl": class_kl,
    "classification": classification,
    "consistency": consistency,
    "proximity": proximity,
    "distance": distance,
}


def evaluate_terms(forward: Forward, weights: Mapping[str, float]) -> dict[str, tf.Tensor]:
    """Every term that `weights` names, and "reconstruction", unweighted: term -> (batch,)."""
    return {name: TERMS[name](forward) for name in ("reconstruction", *weights)}


# The terms that need the class centres.
CENTERED = frozenset({"class_kl", "proximity", "distance"})


def divisors(reduction: str, pixels: int, latent_size: int) -> tuple[int, int]:
    """What (L_r, L_kl) are divided by.

    Args:
        reduction: "elbo": both by the pixels, as above. "mean": each by its own number of terms,
            the reference code's mean per pixel and mean per latent dimension, in which beta weighs
            pixels / latent_size times as much. "sum": neither, as Defense-VAE.
        pixels: height x width x channels.
    """
    return {"elbo": (pixels, pixels), "mean": (pixels, latent_size), "sum": (1, 1)}[reduction]


def total(
    terms: Mapping[str, tf.Tensor], weights: Mapping[str, float], divide: tuple[int, int]
) -> tf.Tensor:
    """The loss of each example: (batch,). See the module's formula; `divide` comes from `divisors`."""  # noqa: E501
    loss = terms["reconstruction"] / divide[0]
    for name, weight in weights.items():
        sign = -1.0 if name == "distance" else 1.0
        loss += sign * weight * terms[name] / (divide[1] if name in ("kl", "class_kl") else 1)
    return loss
