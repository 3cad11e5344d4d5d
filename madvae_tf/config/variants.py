"""The purifiers that one trainer trains: which loss terms each uses, and by which weight of the
configuration.

The paper's four variants, and three baselines of the same architecture: the identity VAE (trained
on clean images only), Defense-VAE with its own loss (no KL term), and a mixture-of-Gaussians prior
with one component per class. "robust" is trained against attacks on purifier and classifier
together; its weights are those of the configuration's section of that name.

A table without TensorFlow, so that a plan of the pipeline can be made without loading it.
"""

from collections.abc import Mapping

from madvae_tf.utils.errors import lookup

# variant -> term of `losses.TERMS` -> the field of the configuration that weighs it. Reconstruction
# is in all, at 1.
VARIANTS: dict[str, dict[str, str]] = {
    "vanilla": {"kl": "beta"},
    "cls": {"kl": "beta", "classification": "alpha"},
    "pd": {"kl": "beta", "proximity": "proximity", "distance": "sigma"},
    "combined": {
        "kl": "beta",
        "classification": "gamma",
        "proximity": "proximity",
        "distance": "sigma",
    },
    "identity": {"kl": "beta"},
    "defense_vae": {},
    "mixture": {"class_kl": "beta"},
    "robust": {"kl": "beta", "classification": "classification"},
}


def weights_of(variant: str, weights: Mapping[str, float]) -> dict[str, float]:
    """The weights that `variant` uses: term -> weight, picked from named weights.

    Args:
        variant: a name of `VARIANTS`.
        weights: at least those that the variant uses, of `alpha`, `beta`, `gamma`, `proximity`,
            `sigma` and `classification`.

    Raises:
        UserError: an unknown variant; the message lists the known ones.
    """
    return {term: weights[name] for term, name in lookup(VARIANTS, variant, "variant").items()}
