"""What `evaluate` asks of its arguments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.data.labelled import labelled
from madvae_tf.evaluation import presets, threats
from madvae_tf.evaluation.oblivious import batched
from madvae_tf.evaluation.suites import Suite
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.utils.budgets import UsualBudget, budget_text
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import as_float
from madvae_tf.utils.labels import MOST_CLASSES
from madvae_tf.utils.output_kind import are_probabilities


def suites_of(
    suites: Sequence[Suite] | Suite | None,
    threat: Any,
    preset: str | None,
    known: Mapping[str, DefendedModel],
    own: str,
    usual: UsualBudget,
) -> tuple[list[Suite], str]:
    """What is given, or the preset's, and a sentence where the budget was chosen here.

    Args:
        own: the budget that the system was made for, where one is known; without it and a `threat`
            it is the `usual` one of the images.
    """
    if suites is None:
        note = ""
        if threat is None and not own:
            note = (
                f"the budget, L-infinity {budget_text(usual.epsilon)}, is the usual one for"
                f" {usual.why}; threat= sets another."
            )
        chosen = threats.threat_of(threat or own or ("linf", usual.epsilon))
        return presets.preset_suites(preset or presets.DEFAULT, chosen, known), note
    if threat is not None or preset is not None:
        raise UserError(
            "Invalid arguments: received suites and a threat or preset, expected one of the two:"
            " suites have budgets of their own."
        )
    found = [suites] if isinstance(suites, Suite) else list(suites)
    if wrong := [each for each in found if not isinstance(each, Suite)]:
        raise UserError(
            f"Invalid suites: received {wrong[0]!r} among them, expected a Suite or a list of them,"
            " like [gradient_suite('linf', 0.3)]."
        )
    return found, ""


def checked(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images, float32 in [0, 1], and labels, int64 (n,); `UserError` where they are not that."""
    x, y = labelled(images, labels, learnt=False)
    return as_float(x), y


def check_trials(suites: Sequence[Suite], known: Mapping[str, DefendedModel]) -> None:
    """Raises `UserError` where two trials have one name, or a gradient has no target."""
    names = [(suite.name, trial.label) for suite in suites for trial in suite.trials]
    if len(set(names)) < len(names):
        raise UserError(
            f"Invalid suites: received {names}, expected every trial of a suite under a name of its"
            " own."
        )
    for suite in suites:
        for trial in suite.trials:
            if trial.gradient not in known:
                raise UserError(
                    f"Invalid targets: {trial.label} asks for the gradient {trial.gradient!r},"
                    f" received targets for {', '.join(known)}; give targets={{{trial.gradient!r}:"
                    " ...}."
                )


def clean_logits(
    system: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """The logits of clean images, float32 (n, classes); `UserError` where they are none."""
    logits = batched(system, images, batch_size)
    many = logits.ndim == 2 and len(logits) == len(images) and 2 <= logits.shape[1] <= MOST_CLASSES
    if logits.dtype != np.float32 or not many:
        raise UserError(
            f"Invalid logits: received {logits.dtype} of shape {logits.shape}, expected float32 of"
            f" shape ({len(images)}, classes), of 2 to {MOST_CLASSES} classes; robustness is"
            " computed in float32."
        )
    bad = ~np.isfinite(logits).all(axis=1)
    if bad.any():
        raise UserError(
            f"Invalid logits: received NaN or infinite ones for {int(bad.sum())} of {len(images)}"
            f" clean images (the first is image {int(bad.argmax())}), expected finite ones."
        )
    if are_probabilities(logits):
        raise UserError(
            "Invalid logits: received probabilities (every row sums to 1), whose gradients vanish"
            " where the system is sure, so that it looks robust; give what comes before the"
            " softmax, or madvae_tf.models.external_classifier.adapt(logits_fn, images[:8]), which"
            " takes their logarithm."
        )
    return logits
