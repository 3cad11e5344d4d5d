"""Rows of results.json, table "robustness", from an evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from madvae_tf.attacks import Attack
from madvae_tf.evaluation.diagnostics import beyond_gradients
from madvae_tf.evaluation.oblivious import Row, rate_row

if TYPE_CHECKING:
    from madvae_tf.evaluation.result import Evaluation, Outcome

TABLE = "robustness"
NATURAL = "natural"
WORST = "worst_case"


def evaluation_rows(
    found: "Evaluation", common: Mapping[str, Any], ball: Mapping[str, Any], totals: bool = True
) -> list[Row]:
    """Accuracy without an attack, after every trial, after every sequence, and in the worst case;
    restarts' shares.

    Args:
        common: dataset, threat_model, defense, seed.
        ball: norm and epsilon, in the parameters of every row.
        totals: whether the rows without an attack and of the worst case are among them.
    """
    rows = [accuracy_row(found.clean, "none", common, ball)] if totals else []
    suite = None
    for outcome in found.outcomes:
        if outcome.suite is not suite:
            suite, before = outcome.suite, int(found.clean.sum())
        attack = outcome.trial.attack
        parameters = {
            **ball,
            **budget(attack),
            **attack.parameters,
            "gradient": outcome.trial.gradient,
        }
        if outcome.suite.sequential:
            parameters |= {"after": outcome.suite.name}
        row = accuracy_row(outcome.robust, outcome.trial.title, common, parameters)
        rows.append(row)
        share = restart_share(outcome, before)
        if share is not None:
            rows.append(
                {
                    **row,
                    "metric": "restart_share",
                    "value": share,
                    "ci_low": None,
                    "ci_high": None,
                    "n": before - outcome.n_robust[-1],
                }
            )
        if outcome.suite.sequential:
            before = outcome.n_robust[-1] if outcome.n_robust else before
    for suite in dict.fromkeys(outcome.suite for outcome in found.outcomes):
        if suite.sequential:
            own = {**ball, **budget(suite.trials[0].attack)}
            rows.append(accuracy_row(found.robust(suite.name), suite.name, common, own))
    return [*rows, accuracy_row(found.worst, WORST, common, ball)] if totals else rows


def budget(attack: Attack) -> dict[str, Any]:
    """Norm and epsilon of an attack, or nothing where it has no budget."""
    epsilon = attack.norm_budget
    return {} if epsilon is None else {"norm": getattr(attack, "norm", "linf"), "epsilon": epsilon}


def accuracy_row(
    robust: np.ndarray, attack: str, common: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Row:
    """One row of table "robustness" from who was right."""
    return rate_row(
        TABLE, "accuracy", robust, {**common, "attack": attack, "parameters": dict(parameters)}
    )


def worst_rows(
    robust: np.ndarray,
    outcomes: "Sequence[Outcome]",
    common: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> list[Row]:
    """The worst case over the images that an attack met at all; where one met a part of them, that
    of those alone that every attack met, too.

    The first is an upper bound then, since an image counts as right under an attack that it did not
    meet: its parameters name these attacks, with their n, as "partial". The second has "met":
    "every attack".
    """
    everything = np.ones(len(robust), bool)
    # By title and threat model an attack may occur more than once.
    masks = [
        (outcome.trial.title, everything if outcome.attacked is None else outcome.attacked)
        for outcome in outcomes
    ]
    visited = np.logical_or.reduce([mask for _, mask in masks])
    robust = robust[visited]
    masks = [(title, mask[visited]) for title, mask in masks if not mask[visited].all()]
    if not masks:
        return [accuracy_row(robust, WORST, common, parameters)]
    partial = ", ".join(
        f"{title} {count}" for title, count in sorted({(t, int(m.sum())) for t, m in masks})
    )
    rows = [accuracy_row(robust, WORST, common, {**parameters, "partial": partial})]
    met = np.logical_and.reduce([mask for _, mask in masks])
    if met.any():
        rows.append(accuracy_row(robust[met], WORST, common, {**parameters, "met": "every attack"}))
    return rows


def beyond_rows(end: "Evaluation", common: Mapping[str, Any], ball: Mapping[str, Any]) -> list[Row]:
    """Of each attack without gradients the share of its images that it fools and no attack with one
    does (`diagnostics.beyond_gradients`).
    """
    return [
        rate_row(
            TABLE,
            "beyond_gradients_share",
            alone,
            {
                **common,
                "attack": query.trial.title,
                "parameters": {**ball, **query.trial.attack.parameters},
            },
        )
        for query, alone in beyond_gradients(end)
    ]


def natural_rows(found: "Evaluation", common: Mapping[str, Any]) -> list[Row]:
    """Accuracy without an attack and after every trial, table "natural": what asks the system is
    end-to-end, a corruption asks nobody.

    Args:
        common: dataset, defense, seed.
    """
    rows = []
    for attack, parameters, robust in [
        ("none", {}, found.clean),
        *((o.trial.title, o.trial.attack.parameters, o.robust) for o in found.outcomes),
    ]:
        asks = attack == "rotation_translation"
        named = {**common, "threat_model": "end_to_end" if asks else "oblivious"}
        rows.append(
            rate_row(
                NATURAL, "accuracy", robust, {**named, "attack": attack, "parameters": parameters}
            )
        )
    return rows


def curve_rows(
    curves: Mapping[str, Mapping[float, np.ndarray]],
    common: Mapping[str, Any],
    ball: Mapping[str, Any],
) -> list[Row]:
    """Accuracy under PGD by budget and by steps; `parameters["curve"]` names the axis, `at` the
    place on it.
    """
    return [
        accuracy_row(robust, "pgd_curve", common, {**ball, "curve": kind, "at": value})
        for kind, curve in curves.items()
        for value, robust in curve.items()
    ]


def gradient_rows(
    norms: np.ndarray, faint: np.ndarray, common: Mapping[str, Any], ball: Mapping[str, Any]
) -> list[Row]:
    """The share of images at which the gradient is exactly 0, and the mean share of pixels at which
    it is faint (`gradients.gradients`).
    """
    named = {**common, "attack": "none", "parameters": dict(ball)}
    zero = rate_row(TABLE, "zero_gradient_share", norms == 0, named)
    return [zero, _mean(zero, "faint_gradient_share", faint)]


def squash_rows(
    around: "Outcome", signs: np.ndarray, common: Mapping[str, Any], ball: Mapping[str, Any]
) -> list[Row]:
    """What PGD around the squash leaves, and the mean share of pixels whose gradient has another
    sign there (`sanity.around`, `gradients.other_signs`).
    """
    attack = around.trial.attack
    parameters = {**ball, **attack.parameters, "gradient": around.trial.gradient}
    row = accuracy_row(around.robust, around.trial.title, common, parameters)
    return [
        row,
        _mean(accuracy_row(around.robust, "none", common, ball), "other_sign_share", signs),
    ]


def _mean(row: Row, metric: str, shares: np.ndarray) -> Row:
    """`row` with the mean of shares of pixels in the place of its figure."""
    return {**row, "metric": metric, "value": float(shares.mean()), "ci_low": None, "ci_high": None}


def restart_share(outcome: "Outcome", before: int) -> float | None:
    """Of an attack's successes, the share that its first run did not have; None without successes,
    and where its runs are no restarts but target classes.

    Args:
        before: how many images were right before the attack.
    """
    restarts = getattr(outcome.trial.attack, "restarts", 1)
    if restarts != len(outcome.n_robust) or restarts < 2 or outcome.n_robust[-1] == before:
        return None
    return (outcome.n_robust[0] - outcome.n_robust[-1]) / (before - outcome.n_robust[-1])
