"""A search by keras-tuner's Bayesian optimisation that starts at known values and outlives a kill.

The first trial has the hand-picked values, so the best one is at least as good as these; a few
random ones follow, then those where a Gaussian process sees promise. keras-tuner alone would start
at random.
"""

import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from madvae_tf.data.shards import publish
from madvae_tf.training.divergence import Diverged
from madvae_tf.utils.errors import UserError

# Proposals are rounded to so many digits before they are tried: what the files say is what was
# measured.
_DIGITS = 3
_METRIC = "value"

Measure = Callable[[int, Mapping[str, float]], float]


@dataclasses.dataclass(frozen=True)
class Trial:
    """What was tried, what `measure` gave for it (None: it diverged), keras-tuner's word for how it
    ended or "diverged", the seconds.
    """

    weights: dict[str, float]
    value: float | None
    status: str
    seconds: float


def search(
    measure: Measure,
    hand_picked: Mapping[str, float],
    factors: Mapping[str, float],
    trials: int,
    seed: int,
    folder: Path,
) -> list[Trial]:
    """`trials` measurements, in order.

    Each proposal and each value is written to `folder` at once: called again after a kill, the
    search repeats the trial that it was in, with the same weights, and no other.

    Args:
        measure: (number of the trial from 0, weights) -> what to maximise, finite; or it raises
            `Diverged`.
        hand_picked: name -> a number of at least 0; one that is 0 stays 0.
        factors: name -> how many times below and above the hand-picked value to search, evenly in
            its logarithm.
        trials: at least 1.
        seed: at least 0; the same seed and the same values give the same proposals.
        folder: kept when the process is killed.

    Raises:
        UserError: hand-picked values that are negative or all 0, no trials.
        Diverged: the hand-picked values do. Another trial that does has no value, and the search
            goes on.
        Exception: what `measure` raises passes through.
    """
    if min(hand_picked.values()) < 0 or max(hand_picked.values()) == 0:
        raise UserError(
            f"Invalid hand-picked weights: received {dict(hand_picked)}, expected values of at"
            " least 0, not all of them 0."
        )
    if trials < 1:
        raise UserError(f"Invalid trials: received {trials}, expected at least 1.")
    records = _Records(folder)
    oracle = _Oracle(records, hand_picked, factors, trials, seed)
    # What keras-tuner saves for itself is not always whole after a kill; the records are.
    tuner = _Tuner(
        oracle, records, measure, directory=str(folder), project_name="tuner", overwrite=True
    )
    failure = None
    with warnings.catch_warnings():
        # keras-tuner's use of `threading`, and length scales that a few points leave open.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"keras_tuner\.")
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        try:
            tuner.search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            failure = error.__cause__ or error
    if failure is not None:
        raise failure
    found = []
    for number, trial in enumerate(oracle.start_order):
        record = records.read(number)
        status = "diverged" if record["value"] is None else oracle.trials[trial].status.lower()
        found.append(Trial(status=status, **record))
    return found


class _Records:
    """What is known of each trial, one file a trial: "weights", and once it is done "value" and
    "seconds".
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def worst(self, number: int) -> float:
        """The lowest value of the trials before `number`, of which the first has one."""
        values = [self.read(earlier)["value"] for earlier in range(number)]
        return min(value for value in values if value is not None)

    def read(self, number: int) -> dict[str, Any]:
        """The record; empty for a trial that was not begun."""
        try:
            return json.loads(self._path(number).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def write(self, number: int, record: Mapping[str, Any]) -> None:
        publish(self._path(number), json.dumps(record).encode())

    def _path(self, number: int) -> Path:
        return self._folder / f"trial-{number:03d}.json"


class _Oracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """keras-tuner's proposals; the hand-picked values are the first one, and what is on record is
    kept to.
    """

    def __init__(
        self,
        records: _Records,
        hand_picked: Mapping[str, float],
        factors: Mapping[str, float],
        trials: int,
        seed: int,
    ):
        self._records = records
        self._hand_picked = dict(hand_picked)
        space = keras_tuner.HyperParameters()
        for name, value in hand_picked.items():
            if value > 0:  # What is off has no logarithm, and stays off.
                low, high = value / factors[name], value * factors[name]
                space.Float(name, low, high, sampling="log", default=value)
        super().__init__(
            objective=keras_tuner.Objective(_METRIC, "max"),
            max_trials=trials,
            # One point more than dimensions: the least that fixes a slope in each.
            num_initial_points=len(space.space) + 1,
            seed=seed + 1,  # 0 would stand for any seed.
            hyperparameters=space,
            allow_new_entries=False,
            tune_new_entries=False,
        )

    def populate_space(self, trial_id):
        number = int(trial_id)
        weights = self._hand_picked
        if number > 0:
            # Asked even where there is a record: its random numbers move on as in an unbroken
            # search. The matrices are tiny: threads would only wait for each other.
            with threadpool_limits(1):
                response = super().populate_space(trial_id)
            if response["values"] is None:
                return response
            proposed = {
                name: float(f"{value:.{_DIGITS}g}") for name, value in response["values"].items()
            }
            weights = self._hand_picked | proposed
        record = self._records.read(number)
        if not record:
            record = {"weights": weights}
            self._records.write(number, record)
        searched = {hp.name: record["weights"][hp.name] for hp in self.hyperparameters.space}
        return {"status": "RUNNING", "values": searched}


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Measures each trial once; an error ends the search, where keras-tuner would count it and go
    on.
    """

    def __init__(self, oracle: _Oracle, records: _Records, measure: Measure, **kwargs):
        super().__init__(oracle, **kwargs)
        self._records, self._measure = records, measure

    def run_trial(self, trial, *fit_args, **fit_kwargs):
        number = int(trial.trial_id)
        record = self._records.read(number)
        if "value" not in record:
            start = time.monotonic()
            try:
                value = float(self._measure(number, record["weights"]))
            except Diverged as error:
                if number == 0:
                    raise keras_tuner.errors.FatalError(
                        "The hand-picked values diverged."
                    ) from error
                value = None
            except Exception as error:
                raise keras_tuner.errors.FatalError(f"Trial {number} stopped.") from error
            record |= {"value": value, "seconds": round(time.monotonic() - start, 3)}
            self._records.write(number, record)
        # keras-tuner would forget a trial without a value, and propose its like again.
        return {
            _METRIC: self._records.worst(number) if record["value"] is None else record["value"]
        }
