"""`fit`: from a classifier and labelled images to a trained purifier in one call."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import madvae_tf
from madvae_tf.api.figures import concluded
from madvae_tf.api.fitted import FittedDefense
from madvae_tf.api.pairs import make_pairs, training_attacks, validation_attacks
from madvae_tf.api.validation import (
    PROBES,
    check_count,
    check_data,
    check_precision,
    chosen_budget,
    clean_accuracy,
    defaults_of,
    held_out,
    scratch_folder,
)
from madvae_tf.attacks import Attack, DefendedModel, NoAttack
from madvae_tf.config.costs import purifier_seconds
from madvae_tf.config.parameters import check_integers, with_defaults
from madvae_tf.data.labelled import labelled
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.purifier import ATTACKED_ONLY
from madvae_tf.defenses.purifier import variant as purifier_of
from madvae_tf.evaluation import Threat
from madvae_tf.models.cost import announcement, relative_to_paper
from madvae_tf.models.external_classifier import adapt
from madvae_tf.models.seeding import process_as_found
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.purifier import fit_purifier
from madvae_tf.utils.budgets import usual_budget
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.images import as_float
from madvae_tf.utils.precision import resolve_precision
from madvae_tf.utils.progress import say, silent


@process_as_found()
def fit(
    classifier: Callable[..., Any],
    images: Any,
    labels: Any = None,
    *,
    variant: str = "combined",
    epochs: int = 7,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    final_learning_rate: float = 1e-5,
    latent_size: int = 128,
    width: float = 1.0,
    alpha: float = 0.1,
    beta: float = 0.1,
    gamma: float = 0.1,
    proximity: float = 0.01,
    sigma: float = 1e-5,
    attacks: Sequence[Attack] | None = None,
    epsilon: float | None = None,
    images_per_attack: int = 2000,
    cw_iterations: int = 45,
    attack_batch_size: int = 250,
    validation_split: float = 0.1,
    validation_data: tuple[Any, Any] | None = None,
    outputs: str = "auto",
    preprocessing: Any = None,
    precision: str = "auto",
    seed: int = 0,
    verbose: int = 1,
    scratch: str | Path | None = None,
) -> FittedDefense:
    """Attacks `classifier` on the images, and trains a purifier from the attacked images to the
    clean ones.

    The classifier is neither changed nor trained. With the defaults up to 20,000 pairs are made and
    seen seven times: tens of minutes on two CPU cores, and 3 KB of scratch space for each pair.
    Accuracy grows with `images_per_attack`, `cw_iterations` and `epochs`. The same arguments give
    the same purifier on the same machine.

    Args:
        classifier: a Keras model, or a callable of TensorFlow operations through which gradients
            flow: float32 (batch, 28, 28, 1) in [0, 1] -> logits or probabilities (batch,
            classes), of 2 to 1,000 classes; or (batch, 1), one logit or sigmoid for two classes.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, height, width, channels), or (n,
            height, width) if grey: 8 to 256 pixels each way, and one or three channels, as the
            classifier takes them. Or images with labels: a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or what `read_dataset` gives (`madvae_tf.data.labelled`).
        labels: the true classes: integers or whole numbers (n,) or (n, 1) in [0, classes), or
            one-hot (n, classes); None where the images have theirs.
        variant: a name of `madvae_tf.config.variants.VARIANTS`: vanilla, cls, pd, combined, ...;
            not robust, which is `fit_robust`'s.
        epochs, batch_size, learning_rate, final_learning_rate: Adam, exponential decay.
        latent_size: dimensions of the latent code.
        width: of the purifier's layers, times the paper's number of channels; more for large or
            colour images, less for speed. Before the training a line says what it costs.
        alpha, beta, gamma, proximity, sigma: weights of the loss terms,
            `madvae_tf.config.VaeConfig`.
        attacks: of `madvae_tf.attacks`, to learn from instead of the paper's (`training_attacks`).
        epsilon: the L-infinity budget that the paper's attacks are scaled to; None: what is usual
            for such images, see `madvae_tf.utils.budgets`.
        images_per_attack: images that each attack gets, drawn for it alone; 0 means all.
        cw_iterations: of the CW attack; 500 and more run the paper's nine searches.
        attack_batch_size: images attacked at once.
        validation_split: this share, the last of the images, is held out for validation.
        validation_data: (images, labels), or images with labels, in place of the split.
        outputs: "auto", "logits" or "probabilities": what `classifier` gives.
        preprocessing: what `classifier` wants in place of images in [0, 1]: "0..255", "-1..1", a
            pair (mean, std), "channels_first", several of them, or a function
            (`madvae_tf.models.preprocessing`). It becomes a part of the classifier, saved and
            exported with it; epsilon and the images stay in [0, 1].
        precision: "auto", "float32" or "mixed_bfloat16", of the purifier's training; attacks run in
            float32.
        seed: folded into every random draw.
        verbose: 0 is silent, 1 shows progress on standard error.
        scratch: a folder for what is only needed while this runs; None: the system's.

    Returns:
        the defence; its `info` holds the validation accuracy, the settings and, under "figures",
        what the classifier keeps alone and behind the purifier on at most 100 held-out images:
        clean, against an attacker who does not know of the purifier and one who does. The last line
        on standard error says the same.

    Raises:
        UserError: images, labels, the classifier or an option are not as said above; the training
            diverged.
    """
    check_process()
    if variant == "robust":
        raise UserError(
            "Invalid variant: received 'robust', which learns from attacks on itself; expected"
            " another one here: call madvae_tf.fit_robust for it."
        )
    x, y = labelled(images, labels, "images")
    with with_defaults(defaults_of(fit)):
        parameters = purifier_of(
            variant,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
            latent_size=latent_size,
            width=width,
            **{
                "alpha": alpha,
                "beta": beta,
                "gamma": gamma,
                "proximity": proximity,
                "sigma": sigma,
            },
            checkpoint_steps=1_000_000,
            image_steps=1_000_000,
        )
    images_per_attack, cw_iterations, attack_batch_size, seed = check_integers(
        {
            "images_per_attack": (images_per_attack, 0),
            "cw_iterations": (cw_iterations, 1),
            "attack_batch_size": (attack_batch_size, 1),
            "seed": (seed, 0),
        }
    )
    check_precision(precision)
    (x, y), (x_held, y_held) = held_out(x, y, validation_split, validation_data)
    budget, sentence = chosen_budget(epsilon, usual_budget(x))
    learned = _attacks_of(variant, attacks, cw_iterations, budget)
    if attacks is not None and epsilon is None:
        budget, sentence = _middle(learned, budget), ""
    drawn = min(len(x), images_per_attack or len(x))
    check_count(drawn)
    adapted = adapt(classifier, as_float(x[:PROBES]), outputs, preprocessing=preprocessing)
    check_data((x, y), (x_held, y_held), adapted.num_classes)
    with (
        silent(not verbose),
        tempfile.TemporaryDirectory(dir=scratch_folder(scratch), prefix="madvae_tf-") as name,
    ):
        folder = Path(name)
        if sentence:
            say(f"{sentence} Its attacks are in proportion.")
        target = DefendedModel(logits=functools.partial(adapted, training=False))
        own = (images_per_attack, seed, attack_batch_size)
        pairs = make_pairs(target, x, y, learned, *own, folder / "training.npy")
        watched = validation_attacks(cw_iterations, budget)
        held = make_pairs(target, x_held, y_held, watched, *own, folder / "validation.npy")
        right = clean_accuracy(adapted, x_held, y_held, attack_batch_size)
        settings = parameters.settings(seed, resolve_precision(precision))
        planned = DefenseVAE(
            settings.latent_size, image_shape=pairs.image_shape, width=settings.width
        )
        seconds = purifier_seconds(len(pairs) * epochs) * relative_to_paper(planned)
        say(announcement(planned, batch_size, settings.precision, seconds))
        metrics = fit_purifier(
            settings,
            pairs,
            held,
            adapted,
            "",
            None,
            folder,
            folder,
        )
        purifier = load_keras(folder / "purifier.keras")
        info = {
            "version": madvae_tf.__version__,
            "variant": variant,
            "seed": seed,
            "parameters": parameters.parameters,
            "attacks": [{"name": attack.name, **attack.parameters} for attack in learned],
            "classifier_validation_accuracy": right,
            **metrics,
        }
        defense = FittedDefense(purifier, adapted, info)
        return concluded(defense, (x_held, y_held), [Threat("linf", budget)], seed)


def _middle(learned: Sequence[Attack], otherwise: float) -> float:
    """The middle one of the budgets in L-infinity that it learnt from; `otherwise` where it learnt
    from none.
    """
    known = [attack.norm_budget for attack in learned if getattr(attack, "norm", "linf") == "linf"]
    budgets = sorted(budget for budget in known if budget)
    return budgets[len(budgets) // 2] if budgets else otherwise


def _attacks_of(
    variant: str, attacks: Sequence[Attack] | None, iterations: int, epsilon: float
) -> list[Attack]:
    if variant == "identity":
        return [NoAttack()]
    chosen = training_attacks(iterations, epsilon) if attacks is None else list(attacks)
    wrong = [each for each in chosen if not isinstance(each, Attack)]
    if variant in ATTACKED_ONLY:
        chosen = [each for each in chosen if not isinstance(each, NoAttack)]
    if wrong or not chosen:
        received = f"{wrong[0]!r} among them" if wrong else "none"
        raise UserError(
            f"Invalid attacks: received {received}, expected at least one of madvae_tf.attacks,"
            " like FGSM(epsilon=0.3)."
        )
    return chosen
