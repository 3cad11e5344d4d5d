"""Measurements of the evaluation itself: curves that must fall, gradients that must not vanish; `cautions` judges them.

After Carlini et al. 2019, "On Evaluating Adversarial Robustness", and Athalye et al. 2018: robustness that comes from a broken
attack shows in one of these.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import Target
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.objectives import ascent
from madvae_tf.oblivious import batched
from madvae_tf.robustness.evaluation import Outcome, evaluate
from madvae_tf.robustness.suites import Suite, Trial

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
STEPS = (1, 5, 10, 20, 50, 100)
# Of a pixel: so far any image is from a flat grey one.
GREY = 0.5
# Of an image's largest gradient.
FAINT = 1e-4


def budgets(norm: str, epsilon: float, pixels: int) -> tuple[float, ...]:
    """The budgets of a curve, from 0 to where any image can be made a flat grey one, and nothing can tell them apart.

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
    target: Target,
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
        "curves", tuple(Trial(f"{kind}-{value:g}", attack) for (kind, value), attack in trials.items())
    )
    found = evaluate(target.logits, images, labels, [suite], target=target, **options)
    kinds: dict[str, dict[float, np.ndarray]] = {"epsilon": {}, "steps": {}}
    for (kind, value), outcome in zip(trials, found.outcomes, strict=True):
        kinds[kind][value] = outcome.right
    return kinds


def around(
    target: Target,
    straight: Target,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float = 0.3,
    norm: str = "linf",
    **options,
) -> Outcome:
    """PGD of the last number of `STEPS` on the system, along another gradient: BPDA through its squash.

    Args:
        target: the system.
        straight: its parts with the identity's gradient in the place of the squash's (`Defended.straight`).
        options: see `curves`.
    """
    suite = Suite("around", (Trial("bpda_squash_pgd_restarts", _pgd(norm, epsilon, STEPS[-1]), "straight"),))
    found = evaluate(
        target.logits, images, labels, [suite], target=target, targets={"straight": straight}, **options
    )
    return found.outcomes[0]


def gradients(
    target: Target, images: np.ndarray, labels: np.ndarray, batch_size: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """The cross-entropy's gradient at each clean image, both float64 (n,).

    Returns:
        its L2 norm, exactly 0 where it vanished; and the share of pixels at which it is faint, below 1e-4 of its largest: a step along it in L2
        leaves these where they are, while a step along its signs moves them all.
    """
    size = np.abs(_climbed(target, images, labels, batch_size).astype(np.float64))
    return np.linalg.norm(size, axis=1), (size <= FAINT * size.max(axis=1, keepdims=True)).mean(axis=1)


def other_signs(
    target: Target, straight: Target, images: np.ndarray, labels: np.ndarray, batch_size: int = 100
) -> np.ndarray:
    """The share of each clean image's pixels at which the gradients of two targets have another sign (0 is one), float64 (n,).

    A step in L-infinity follows signs alone: where none differs, an attack along one gradient is the attack along the other.
    """
    one, other = (np.sign(_climbed(each, images, labels, batch_size)) for each in (target, straight))
    return (one != other).mean(axis=1)


def _climbed(target: Target, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    """The cross-entropy's gradient at each image, float32 (n, pixels)."""

    @tf.function
    def gradient(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return ascent(target.logits, "cross_entropy", x, y, y)[1]

    found = []
    labels = np.asarray(labels, np.int64)
    for start in range(0, len(images), batch_size):
        y = labels[start : start + batch_size]
        y = np.concatenate([y, np.repeat(y[:1], batch_size - len(y))])
        part = batched(
            lambda x, y=y: gradient(x, tf.constant(y)), images[start : start + batch_size], batch_size
        )
        found.append(part.reshape(len(part), -1))
    return np.concatenate(found)


def restart_share(outcome: Outcome, before: int) -> float | None:
    """Of an attack's successes, the share that its first run did not have; None without successes, and where its runs are no restarts but target classes.

    Args:
        before: how many images were right before the attack.
    """
    restarts = getattr(outcome.trial.attack, "restarts", 1)
    if restarts != len(outcome.left) or restarts < 2 or outcome.left[-1] == before:
        return None
    return (outcome.left[0] - outcome.left[-1]) / (before - outcome.left[-1])
