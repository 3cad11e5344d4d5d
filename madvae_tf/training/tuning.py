"""A search for the weights of the combined loss (section 2.2.3) on validation images.

Every trial trains the same purifier on the same pairs, for the same steps, from the same weights;
trials differ in gamma, beta, proximity, sigma and the learning rate alone, and the first has their
hand-picked values.
"""

import dataclasses
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

import keras
import numpy as np

from madvae_tf.config import Config, to_dict
from madvae_tf.config.variants import weights_of
from madvae_tf.data.batches import Rows
from madvae_tf.data.generate import draw_rows
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.purifier import PurifierSettings, fit_purifier
from madvae_tf.training.search import search
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.progress import titled

# Field of the configuration -> how many times below and above its value is searched. Tenfold for
# weights: so far apart are the paper and its released code in alpha and sigma. Threefold for the
# learning rate: beyond, a trial's few steps diverge or do not arrive.
FACTORS = {"gamma": 10.0, "beta": 10.0, "proximity": 10.0, "sigma": 10.0, "learning_rate": 3.0}
OBJECTIVE = "accuracy of the classifier on purified validation images"

# Told from the other draws of the seed.
_PAIRS_DRAW = 7_364_827


def tune(
    settings: PurifierSettings,
    hand_picked: Mapping[str, float],
    trials: int,
    images: int,
    pairs: Rows,
    validation: Rows,
    classifier: keras.Model,
    classifier_name: str,
    start_from: DefenseVAE | None,
    scratch: Path,
) -> dict[str, Any]:
    """Trains `trials` combined purifiers and says which weights did best on the validation pairs.

    Args:
        settings: of every trial; title, weights and learning rate are each trial's own.
        hand_picked: the names of `FACTORS` -> at least 0; a weight of 0 stays 0; the rate is above
            0.
        trials: at least 1; the first has the hand-picked values.
        images: training pairs of a trial, the same ones for all trials; 0 for all pairs.
        pairs, validation, classifier, classifier_name, start_from: see `fit_purifier`.
        scratch: kept when the process is killed: finished trials are not run again, and the one
            that was running goes on from its checkpoint.

    Returns:
        {"objective": str, "n": validation pairs, "hand_picked": {"weights", "value"}, "best":
        {"weights", "value"}, "trials": [{"weights", "value", "status"}], "cost_seconds": float}.
        The first of equal trials is the best; a trial that diverged has the value None.

    Raises:
        UserError: other names or values than the above.
        Diverged: the hand-picked values do.
    """
    if set(hand_picked) != set(FACTORS) or not hand_picked["learning_rate"] > 0:
        raise UserError(
            f"Invalid hand-picked weights: received {dict(hand_picked)}, expected"
            f" {', '.join(FACTORS)}, with a learning_rate above 0."
        )
    some = _Some(pairs, draw_rows(len(pairs), images, settings.seed, _PAIRS_DRAW))

    def measure(number: int, weights: Mapping[str, float]) -> float:
        folder = scratch / "trial" / str(number)
        # The trials before are done with; this one may have a checkpoint.
        for other in folder.parent.glob("*"):
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        rate = weights["learning_rate"]
        own = dataclasses.replace(
            settings,
            title=f"trial {number + 1} of {trials}",
            weights=weights_of("combined", weights),
            learning_rate=rate,
            final_learning_rate=min(rate, settings.final_learning_rate),
        )
        with titled(own.title):
            metrics = fit_purifier(
                own, some, validation, classifier, classifier_name, start_from, folder, folder
            )
        return metrics["validation_accuracy"]

    done = search(measure, hand_picked, FACTORS, trials, settings.seed, scratch)
    best = max(done, key=lambda trial: -math.inf if trial.value is None else trial.value)
    return {
        "objective": OBJECTIVE,
        "n": len(validation),
        "hand_picked": {"weights": done[0].weights, "value": done[0].value},
        "best": {"weights": best.weights, "value": best.value},
        "trials": [
            {name: getattr(trial, name) for name in ("weights", "value", "status")}
            for trial in done
        ],
        "cost_seconds": round(sum(trial.seconds for trial in done), 3),
    }


class _Some:
    """The rows `picked`, int64 (n,), of `source`."""

    def __init__(self, source: Rows, picked: np.ndarray):
        self.fields = source.fields
        self.image_shape = source.image_shape
        self._source, self._picked = source, picked

    def __len__(self) -> int:
        return len(self._picked)

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        return self._source.batch(self._picked[rows])


def tuned_source(config: Config, weights: Mapping[str, float]) -> str:
    """The text of a configuration file: `config` with these weights and without a search, for
    `--config`.

    Args:
        config: the configuration of the search.
        weights: the names of `FACTORS` -> values.
    """
    tuned = dataclasses.replace(
        config,
        name=f"{config.name}-tuned",
        vae=dataclasses.replace(config.vae, **weights),
        tune=dataclasses.replace(config.tune, trials=0),
    )
    return (
        '"""A configuration with the weights that a search on validation images found."""\n\n'
        "from madvae_tf.config import Config, from_dict\n\n"
        f"VALUES = {pformat(to_dict(tuned), width=100, sort_dicts=False)}\n\n\n"
        "def get_config() -> Config:\n"
        '    """See the docstring of the module."""\n'
        "    return from_dict(VALUES)\n"
    )
