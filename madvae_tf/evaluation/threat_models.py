"""What the attacker knows, as the `DefendedModel` that the attack sees; ways around bad gradients.

    oblivious     the classifier alone: the attacker does not know of the defence
    transfer      a surrogate of the whole system, such as one trained with another seed
    end_to_end    the whole system

A system is a `DefendedModel` itself: `logits` of the whole, and `purify`, `encode`, `decode` and
`sample` where it has them.
"""

import tensorflow as tf

from madvae_tf.attacks import DefendedModel, fold_seed
from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.geometry import image_seeds
from madvae_tf.config.experiments import THREAT_MODELS
from madvae_tf.models.defended_model import Function
from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.utils.errors import UserError, lookup


def target_of(
    threat_model: str,
    system: DefendedModel,
    classifier: Function | None = None,
    surrogate: DefendedModel | None = None,
) -> DefendedModel:
    """What an attacker of this threat model attacks.

    Keep the result: compiled gradients are cached by its callables.

    Args:
        threat_model: a name of `THREAT_MODELS`.
        system: the defended system.
        classifier: logits of the classifier alone, for oblivious.
        surrogate: the attacker's own system, for transfer.

    Raises:
        UserError: an unknown threat model, or what it needs is not given.
    """
    lookup(dict.fromkeys(THREAT_MODELS), threat_model, "threat model")
    if threat_model == "end_to_end":
        return system
    if threat_model == "oblivious":
        if classifier is None:
            raise UserError(
                "Invalid target of an oblivious attacker: received no classifier, expected its"
                " logits."
            )
        return DefendedModel(classifier)
    if surrogate is None:
        raise UserError(
            "Invalid target of a transfer attack: received no surrogate, expected a system trained"
            " with another seed."
        )
    return surrogate


def straight_through(system: DefendedModel, classifier: Function) -> DefendedModel:
    """The system with the identity's gradient for the purifier's (BPDA; Athalye et al. 2018, 4.1).

    The logits are the system's own, exactly; only their gradient is another.

    Raises:
        UserError: the system has no `purify`.
    """
    purify = system.purify
    if purify is None:
        raise UserError(
            "Invalid system for BPDA: received one without purify, expected one with it."
        )
    return system.with_logits(
        lambda images: classifier(with_identity_gradient(images, purify(images)))
    )


def latent_matching(system: DefendedModel, prototypes: tf.Tensor) -> DefendedModel:
    """The system with the latent code's own classes: logits -||encode(x) - prototype_j||^2.

    An attack on these moves the code from its class's prototype to another one's, and needs nothing
    of what comes after the code. `evaluate` lets it go on after its first success: success is the
    system's word.

    Args:
        prototypes: float32 (classes, latent), such as the mean codes of each class.

    Raises:
        UserError: the system has no `encode`.
    """
    encode = system.encode
    if encode is None:
        raise UserError(
            "Invalid system for latent matching: received one without encode, expected one with it."
        )

    def logits(images: tf.Tensor) -> tf.Tensor:
        return -tf.reduce_sum(tf.square(encode(images)[:, None] - prototypes[None]), axis=2)

    return system.with_logits(logits)


def expectation(
    system: DefendedModel, classifier: Function, draws: int, seed: Seed = (0, 0)
) -> DefendedModel:
    """The mean logits over `draws` latents of `sample` (EOT; Athalye et al. 2018, section 4.2).

    The draws are fixed by an image's pixels and the seed: another iterate draws anew, the same
    image does not.

    Raises:
        UserError: the system has no `sample` or no `decode`, or `draws` is less than 1.
    """
    sample, decode = system.sample, system.decode
    if sample is None or decode is None:
        raise UserError(
            "Invalid system for EOT: received one without sample and decode, expected one with"
            " both."
        )
    if draws < 1:
        raise UserError(f"Invalid draws of EOT: received {draws}, expected at least 1.")

    def logits(images: tf.Tensor) -> tf.Tensor:
        # All draws in one batch: a sum of eight gradients would be one too long, see
        # `attacks.objectives.beside`.
        seeds = tf.concat(
            [image_seeds(images, fold_seed(seed, draw)) for draw in range(draws)], axis=0
        )
        every = classifier(decode(sample(tf.tile(images, (draws, 1, 1, 1)), seeds)))
        return tf.reduce_mean(
            tf.reshape(every, (draws, tf.shape(images)[0], every.shape[-1])), axis=0
        )

    return system.with_logits(logits)
