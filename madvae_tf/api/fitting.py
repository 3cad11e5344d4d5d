"""`fit`: from a classifier and labelled images to a trained purifier in one call."""

import functools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

import madvae_tf
from madvae_tf.api.fitted import FittedDefense
from madvae_tf.api.pairs import make_pairs, training_attacks, validation_attacks
from madvae_tf.attacks import Attack, NoAttack, Target
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.purifier import ATTACKED_ONLY
from madvae_tf.defenses.purifier import variant as purifier_of
from madvae_tf.errors import UserError
from madvae_tf.images import Shape, as_float, check_any_images, check_labels, shape_of
from madvae_tf.models.foreign import ForeignClassifier, adapt
from madvae_tf.precision import resolve_precision
from madvae_tf.progress import silent
from madvae_tf.training.purifier import fit_purifier

_PROBES = 32
_PRECISIONS = ("auto", "float32", "mixed_bfloat16")
# A classifier this bad on the user's own images was given something else than it expects.
_SUSPICIOUS = 0.5


def fit(
    classifier: Callable[..., Any],
    images: Any,
    labels: Any,
    *,
    variant: str = "combined",
    epochs: int = 7,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    final_learning_rate: float = 1e-5,
    latent_size: int = 128,
    alpha: float = 0.1,
    beta: float = 0.1,
    gamma: float = 0.1,
    proximity: float = 0.01,
    sigma: float = 1e-5,
    attacks: Sequence[Attack] | None = None,
    images_per_attack: int = 2000,
    cw_iterations: int = 45,
    attack_batch_size: int = 250,
    validation_split: float = 0.1,
    validation_data: tuple[Any, Any] | None = None,
    outputs: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    verbose: int = 1,
    scratch: str | Path | None = None,
) -> FittedDefense:
    """Attacks `classifier` on the images, and trains a purifier from the attacked images to the clean ones.

    The classifier is neither changed nor trained. With the defaults up to 20,000 pairs are made and seen seven times: tens of
    minutes on two CPU cores, and 3 KB of scratch space for each pair. Accuracy grows with `images_per_attack`,
    `cw_iterations` and `epochs`. The same arguments give the same purifier on the same machine.

    Args:
        classifier: a Keras model, or a callable of TensorFlow operations through which gradients flow: float32
            (batch, 28, 28, 1) in [0, 1] -> logits or probabilities (batch, 10).
        images: uint8 in [0, 255] or floating point in [0, 1], (n, 28, 28, 1) or (n, 28, 28); or other square images, with an
            even side from 28 to 64 pixels, grey or with three channels: the classifier's images are then of that shape.
        labels: integers (n,) or (n, 1) in [0, 10), the true classes.
        variant: a name of `madvae_tf.variants.VARIANTS`: vanilla, cls, pd, combined, ...
        epochs, batch_size, learning_rate, final_learning_rate: Adam, exponential decay.
        latent_size: dimensions of the latent code.
        alpha, beta, gamma, proximity, sigma: weights of the loss terms, `madvae_tf.config.VaeConfig`.
        attacks: of `madvae_tf.attacks`, to learn from instead of the paper's (`training_attacks`).
        images_per_attack: images that each attack gets, drawn for it alone; 0 means all.
        cw_iterations: of the CW attack; 500 and more run the paper's nine searches.
        attack_batch_size: images attacked at once.
        validation_split: this share, the last of the images, is held out for validation.
        validation_data: (images, labels) for validation in place of the split.
        outputs: "auto", "logits" or "probabilities": what `classifier` gives.
        precision: "auto", "float32" or "mixed_bfloat16", of the purifier's training; attacks run in float32.
        seed: folded into every random draw.
        verbose: 0 is silent, 1 shows progress on standard error.
        scratch: a folder for what is only needed while this runs; None: the system's.

    Returns:
        the defence; its `info` holds the validation accuracy and the settings.

    Raises:
        UserError: images, labels, the classifier or an option are not as said above.
    """
    x, y = _labelled(images, labels, "images")
    parameters = purifier_of(
        variant,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        final_learning_rate=final_learning_rate,
        latent_size=latent_size,
        **{"alpha": alpha, "beta": beta, "gamma": gamma, "proximity": proximity, "sigma": sigma},
        checkpoint_steps=1_000_000,
        image_steps=1_000_000,
    )
    for name, value, least in (
        ("images_per_attack", images_per_attack, 0),
        ("cw_iterations", cw_iterations, 1),
        ("attack_batch_size", attack_batch_size, 1),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise UserError(f"Invalid {name}: received {value!r}, expected an integer of at least {least}.")
    if precision not in _PRECISIONS:
        raise UserError(
            f"Invalid precision: received {precision!r}, expected one of {', '.join(_PRECISIONS)}."
        )
    (x, y), (x_held, y_held) = _validation(x, y, validation_split, validation_data)
    learned = _attacks_of(variant, attacks, cw_iterations)
    adapted = adapt(classifier, as_float(x[:_PROBES]), outputs)
    with (
        silent(not verbose),
        tempfile.TemporaryDirectory(dir=_folder(scratch), prefix="madvae_tf-") as name,
    ):
        folder = Path(name)
        target = Target(logits=functools.partial(adapted, training=False))
        own = (images_per_attack, seed, attack_batch_size)
        pairs = make_pairs(target, x, y, learned, *own, folder / "training.npy")
        watched = validation_attacks(cw_iterations)
        held = make_pairs(target, x_held, y_held, watched, *own, folder / "validation.npy")
        clean_accuracy = _clean_accuracy(adapted, x_held, y_held, attack_batch_size)
        metrics = fit_purifier(
            parameters.settings(seed, resolve_precision(precision)),
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
        "seed": int(seed),
        "parameters": parameters.parameters,
        "attacks": [{"name": attack.name, **attack.parameters} for attack in learned],
        "classifier_validation_accuracy": clean_accuracy,
        **metrics,
    }
    return FittedDefense(purifier, adapted, info)


def _labelled(
    images: Any, labels: Any, what: str, shape: Shape | None = None
) -> tuple[np.ndarray, np.ndarray]:
    x, y = check_any_images(images, what, shape), np.asarray(labels)
    if y.shape == (len(x), 1):
        y = y[:, 0]
    return x, check_labels(y, len(x))


_Data = tuple[np.ndarray, np.ndarray]


def _validation(x: np.ndarray, y: np.ndarray, split: float, data: Any) -> tuple[_Data, _Data]:
    if data is not None:
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise UserError("Invalid validation_data: expected a pair (images, labels).")
        return (x, y), _labelled(data[0], data[1], "validation images", shape_of(x))
    held = math.ceil(split * len(x)) if isinstance(split, int | float) and 0 < split < 1 else 0
    if not 0 < held < len(x):
        raise UserError(
            f"Invalid validation_split: received {split!r} of {len(x)} images, expected a share between 0 and 1 that "
            "leaves images on both sides; or pass validation_data."
        )
    return (x[:-held], y[:-held]), (x[-held:], y[-held:])


def _attacks_of(variant: str, attacks: Sequence[Attack] | None, iterations: int) -> list[Attack]:
    if variant == "identity":
        return [NoAttack()]
    chosen = training_attacks(iterations) if attacks is None else list(attacks)
    wrong = [each for each in chosen if not isinstance(each, Attack)]
    if variant in ATTACKED_ONLY:
        chosen = [each for each in chosen if not isinstance(each, NoAttack)]
    if wrong or not chosen:
        received = f"{wrong[0]!r} among them" if wrong else "none"
        raise UserError(
            f"Invalid attacks: received {received}, expected at least one of madvae_tf.attacks, like FGSM(epsilon=0.3)."
        )
    return chosen


def _folder(scratch: str | Path | None) -> Path | None:
    if scratch is not None and not Path(scratch).is_dir():
        raise UserError(f"Invalid scratch: received {str(scratch)!r}, expected a folder that exists.")
    return None if scratch is None else Path(scratch)


def _clean_accuracy(classifier: ForeignClassifier, x: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    right = 0
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        right += int((np.asarray(classifier(as_float(x[rows]))).argmax(axis=1) == y[rows]).sum())
    accuracy = right / len(x)
    if accuracy < _SUSPICIOUS:
        logging.warning(
            "The classifier is right on %.1f%% of the clean validation images only: does it expect float32 images in "
            "[0, 1] and these labels? A purifier cannot do better than its classifier.",
            100 * accuracy,
        )
    return accuracy
