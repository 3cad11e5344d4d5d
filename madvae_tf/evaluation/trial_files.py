"""Which file belongs to a trial: its facts, and what the models say of the first images."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.attacks import DefendedModel
from madvae_tf.evaluation.model_fingerprint import reference_gradients, reference_logits
from madvae_tf.evaluation.steadiness import RANDOM, made_of
from madvae_tf.evaluation.store import TrialFile, fingerprint, trial_key
from madvae_tf.evaluation.suites import QUERY_ATTACKS, Trial
from madvae_tf.evaluation.trials import TrialInputs


class TrialFiles:
    """The files of an evaluation's trials in a folder; without a folder nothing is kept.

    Args:
        folder: made if it is not there.
        trials: what is run.
        known: what each gradient attacks.
        given: what all trials share.
        logits: float32 (n, classes), what the system says of the images.
        system: the system itself.
        random: whether the system's logits differ from call to call. It is known by its operations
            and weights, since what it says is something else each time.
        draws: how many draws an attack's gradient is the mean of.
    """

    def __init__(
        self,
        folder: Path | None,
        trials: Iterable[Trial],
        known: Mapping[str, DefendedModel],
        given: TrialInputs,
        logits: np.ndarray,
        system: DefendedModel,
        random: bool,
        draws: int,
    ) -> None:
        self._folder, self._random = folder, random
        images, labels, size = given.images, given.labels, given.batch_size
        self._shared: dict[str, Any] = {
            "seed": given.seed,
            "batch_size": size,
            "images": fingerprint(images, labels),
            **({"images_kept": True} if given.keep_images else {}),
            **({} if draws == given.repeats == 1 else {"draws": draws, "repeats": given.repeats}),
        }
        trials = list(trials)
        names = dict.fromkeys(trial.gradient for trial in trials)
        # These calls also refuse a model that does not compute in float32.
        said = {name: reference_logits(known[name], images, size) for name in names}
        self._gradients: dict[str, np.ndarray] = {}
        if folder is None:
            self._logits = said
        elif random:
            shape = (size, *images.shape[1:])
            judged = made_of(system.logits, shape)
            self._logits = {
                name: np.stack([judged, made_of(known[name].logits, shape)]) for name in names
            }
        else:
            self._logits = {name: np.concatenate([logits[:size], said[name]]) for name in names}
            self._gradients = {
                name: reference_gradients(known[name], images, labels) for name in followed(trials)
            }

    def of(self, trial: Trial, before: np.ndarray) -> TrialFile:
        """The file of a trial that attacks the images of `before`, bool (n,)."""
        facts = {
            **self._shared,
            "trial": trial.label,
            "attack": trial.attack.name,
            "parameters": trial.attack.parameters,
            "gradient": trial.gradient,
            # Of a system that draws, who was right before is another answer each time.
            "before": RANDOM if self._random else fingerprint(before),
        }
        # Not of a query attack: its file would depend on which suites share the call.
        query = trial.attack.name in QUERY_ATTACKS
        gradients = None if query else self._gradients.get(trial.gradient)
        logits = self._logits[trial.gradient]
        return TrialFile(self._folder, trial.label, trial_key(facts), logits, gradients)


def followed(trials: Iterable[Trial]) -> set[str]:
    """The gradients that attacks follow: a query attack may ask a system that has none."""
    return {trial.gradient for trial in trials if trial.attack.name not in QUERY_ATTACKS}
