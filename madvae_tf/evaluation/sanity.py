"""Measurements of the evaluation itself: curves that must fall, gradients that must not vanish;
`diagnostics` judges them.

After Carlini et al. 2019, "On Evaluating Adversarial Robustness", and Athalye et al. 2018:
robustness that comes from a broken attack shows in one of these.
"""

from collections.abc import Sequence

import numpy as np

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.evaluation.diagnostics import GREY
from madvae_tf.evaluation.result import Outcome
from madvae_tf.evaluation.suites import Suite, Trial
from madvae_tf.evaluation.worst_case import evaluate

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
STEPS = (1, 5, 10, 20, 50, 100)


def budgets(norm: str, epsilon: float, pixels: int) -> tuple[float, ...]:
    """The budgets of a curve, from 0 to where any image can be made a flat grey one, and nothing
    can tell them apart.

    Args:
        norm: linf or l2.
        epsilon: the budget in question; in L-infinity the curve is the same for all.
        pixels: of an image, with its channels.
    """
    if norm == "linf":
        return EPSILONS
    return (*(epsilon * factor for factor in (0.0, 0.5, 1.0, 1.5, 2.0)), GREY * pixels**0.5)


def _pgd(norm: str, epsilon: float, iterations: int) -> RestartedPGD:
    # 2.5 epsilon over all steps reaches any point of the ball from any other (Madry et al. 2017).
    return RestartedPGD(
        norm=norm,
        epsilon=epsilon,
        iterations=iterations,
        restarts=1,
        step_size=max(2.5 * epsilon / iterations, 1e-6),
    )


def curves(
    target: DefendedModel,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float = 0.3,
    iterations: int = 40,
    epsilons: Sequence[float] = EPSILONS,
    steps: Sequence[int] = STEPS,
    norm: str = "linf",
    **options,
) -> dict[str, dict[float, np.ndarray]]:
    """Who survives PGD at each budget, and after each number of steps at one budget.

    Args:
        target: the system.
        epsilon: of the curve over steps.
        iterations: of the curve over budgets.
        norm: linf or l2, of all of them.
        options: seed, batch_size, folder, progress of `evaluate`.

    Returns:
        "epsilon" and "steps": value -> bool (n,), still right.
    """
    trials = {("epsilon", value): _pgd(norm, value, iterations) for value in epsilons}
    trials |= {("steps", value): _pgd(norm, epsilon, value) for value in steps}
    suite = Suite(
        "curves",
        tuple(Trial(f"{kind}-{value:g}", attack) for (kind, value), attack in trials.items()),
    )
    found = evaluate(target.logits, images, labels, [suite], target=target, **options)
    kinds: dict[str, dict[float, np.ndarray]] = {"epsilon": {}, "steps": {}}
    for (kind, value), outcome in zip(trials, found.outcomes, strict=True):
        kinds[kind][value] = outcome.robust
    return kinds


def around(
    target: DefendedModel,
    straight_through: DefendedModel,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float = 0.3,
    norm: str = "linf",
    **options,
) -> Outcome:
    """PGD of the last number of `STEPS` on the system, along another gradient: BPDA through its
    squash.

    Args:
        target: the system.
        straight_through: its parts with the identity's gradient in the place of the squash's
            (`DefendedModel.straight_through`).
        options: see `curves`.
    """
    suite = Suite(
        "around",
        (Trial("bpda_squash_pgd_restarts", _pgd(norm, epsilon, STEPS[-1]), "straight_through"),),
    )
    found = evaluate(
        target.logits,
        images,
        labels,
        [suite],
        target=target,
        targets={"straight_through": straight_through},
        **options,
    )
    return found.outcomes[0]
