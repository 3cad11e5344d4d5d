"""Does the evaluation itself hold? Curves that must fall, gradients that must not vanish, and what must not beat what.

After Carlini et al. 2019, "On Evaluating Adversarial Robustness", and Athalye et al. 2018: robustness that comes from a broken
attack shows in one of these.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import Target
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.objectives import ascent
from madvae_tf.evaluate import batched, wilson_interval
from madvae_tf.robustness.evaluation import Evaluation, Outcome, evaluate
from madvae_tf.robustness.suites import QUERY_ATTACKS, Suite, Trial

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
STEPS = (1, 5, 10, 20, 50, 100)
CHANCE = 0.1
# Of a pixel: so far any image is from a flat grey one.
_GREY = 0.5
# Of an image's largest gradient.
_FAINT = 1e-4
# They ask for no gradient, or search among what the decoder draws: that such a search finds less than others says nothing of gradients.
_NO_STEPS = (*QUERY_ATTACKS, "overpowered")
# Shares of the images from which on a sanity figure is a warning.
_VANISHED, _GAP = 0.05, 0.02
# The share of an image's pixels from which on faint gradients are a warning, where steps follow their size.
_FAINT_SHARE = 0.5
_QUERY_TITLES: dict[str, str] = dict(
    zip(QUERY_ATTACKS, ("Square", "HopSkipJump", "SPSA", "SimBA", "Single Pixel"), strict=True)
)


def budgets(norm: str, epsilon: float, pixels: int) -> tuple[float, ...]:
    """The budgets of a curve, from 0 to where any image can be made a flat grey one, and nothing can tell them apart.

    Args:
        norm: linf or l2.
        epsilon: the budget in question; in L-infinity the curve is the same for all.
        pixels: of an image, with its channels.
    """
    if norm == "linf":
        return EPSILONS
    return (*(epsilon * factor for factor in (0.0, 0.5, 1.0, 1.5, 2.0)), _GREY * pixels**0.5)


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
    return np.linalg.norm(size, axis=1), (size <= _FAINT * size.max(axis=1, keepdims=True)).mean(axis=1)


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


def _higher(better: np.ndarray, worse: np.ndarray) -> bool:
    """Whether the first rate lies above the second beyond both 95% intervals."""
    low, _ = wilson_interval(int(better.sum()), len(better))
    _, high = wilson_interval(int(worse.sum()), len(worse))
    return low > high


def curve_warnings(found: Mapping[str, Mapping[float, np.ndarray]], grey: float = _GREY) -> list[str]:
    """What is wrong with the curves: accuracy that rises, or that does not fall to chance at the budget `grey`, the last of `budgets`."""
    warnings = []
    for kind, curve in found.items():
        points = sorted(curve.items())
        for (less, before), (more, after) in zip(points, points[1:], strict=False):
            if _higher(after, before):
                warnings.append(
                    f"more attack, higher accuracy: {kind} {more:g} leaves {after.mean():.4f}, {less:g} left {before.mean():.4f}."
                )
    last = found.get("epsilon", {}).get(grey)
    # Every image can become a flat grey one there: nothing can tell them apart.
    if last is not None and wilson_interval(int(last.sum()), len(last))[0] > CHANCE:
        warnings.append(
            f"accuracy at epsilon {grey:g} is {last.mean():.4f}, above chance ({CHANCE}), where any image can be made grey: PGD fails there."
        )
    return warnings


def gradient_warnings(norms: np.ndarray, faint: np.ndarray | None = None) -> list[str]:
    """Whether gradients vanish.

    Args:
        norms: of `gradients`.
        faint: of `gradients`, where the attacks' steps follow the gradient's size (L2): None in L-infinity, where they follow its signs.
    """
    warnings = []
    share = float((norms == 0).mean())
    if share > _VANISHED:
        warnings.append(
            f"gradients vanish: exactly 0 at {share:.4f} of the images; attacks that follow them prove nothing."
        )
    if faint is not None and faint.mean() > _FAINT_SHARE:
        warnings.append(
            f"gradients nearly vanish: below {_FAINT:g} of the image's largest at a mean share of {faint.mean():.4f} of the pixels, which steps along "
            "them leave where they are; attacks that follow them prove little."
        )
    return warnings


def squash_warnings(exact: np.ndarray, straight: np.ndarray) -> list[str]:
    """Whether PGD around the squash fools what PGD along the exact gradient does not.

    Args:
        exact, straight: bool (n,), right after the two; the same images, budget and steps.
    """
    lost = float((exact & ~straight).mean())
    if lost <= _GAP:
        return []
    return [
        f"gradients mislead: PGD around the squash fools {lost:.4f} of the images, and PGD along the exact gradient none of those."
    ]


def beyond_gradients(end: Evaluation) -> list[tuple[Outcome, np.ndarray]]:
    """What each attack without gradients finds that those with one do not, BPDA and `crossing` among them.

    Args:
        end: what attacks on the system itself left.

    Returns:
        each of them, where others were run, and of the images that it met, bool, which it alone fools: no attack with a gradient does. In a sequence it comes last:
        what it still finds, no gradient attack found.
    """
    return _beyond(end, [o for o in end.outcomes if o.trial.attack.name not in QUERY_ATTACKS])


def _beyond(end: Evaluation, others: Sequence[Outcome]) -> list[tuple[Outcome, np.ndarray]]:
    """Each attack without gradients, and bool, which of the images that it met it fools and none of `others` does; nothing without others."""
    queries = [o for o in end.outcomes if o.trial.attack.name in QUERY_ATTACKS] if others else []
    stood = np.logical_and.reduce([o.right for o in others])
    found = []
    for query in queries:
        alone = stood & ~query.right
        found.append((query, alone if query.attacked is None else alone[query.attacked]))
    return found


def _met(found: Evaluation) -> np.ndarray:
    """Bool (n,): the images that an attack was tried on."""
    everything = np.ones(len(found.clean), bool)
    masks = [everything if o.attacked is None else o.attacked for o in found.outcomes]
    return np.logical_or.reduce([~everything, *masks])


def order_warnings(found: Mapping[str, Evaluation]) -> list[str]:
    """Where less knowledge beats more.

    Args:
        found: threat model -> its evaluation, of the same images.
    """
    warnings = []
    end = found.get("end_to_end")
    if end is None:
        return warnings
    for name in ("oblivious", "transfer"):
        if name not in found:
            continue
        # An image that an attack did not meet counts as right under it: compared are those that both attackers met.
        met = _met(end) & _met(found[name])
        strong, weak = end.worst[met], found[name].worst[met]
        if met.any() and _higher(strong, weak):
            of = "" if met.all() else f" of the {len(weak)} images that both met"
            warnings.append(
                f"a weaker attacker beats a stronger one: {name} leaves {weak.mean():.4f}, end_to_end {strong.mean():.4f}{of}."
            )
    exact = [o for o in end.outcomes if o.trial.gradient == "exact" and o.trial.attack.name not in _NO_STEPS]
    around = [o for o in end.outcomes if o.trial.gradient in ("identity", "straight")]
    # Where nothing follows the exact gradient: against whatever follows one.
    for query, alone in _beyond(end, exact) or beyond_gradients(end):
        lost = float(alone.mean())
        if lost > _GAP:
            name = _QUERY_TITLES[query.trial.attack.name]
            followed = "the exact gradient" if exact else "a gradient"
            warnings.append(
                f"black-box beats white-box: {name} fools {lost:.4f} of its images, and no attack along {followed} any of those."
            )
    if around and exact:
        stood = np.logical_and.reduce([o.right for o in exact])
        lost = float((stood & ~np.logical_and.reduce([o.right for o in around])).mean())
        if lost > _GAP:
            # In the order of the outcomes, each once.
            names = dict.fromkeys("crossing" if o.trial.attack.name == "crossing" else "BPDA" for o in around)
            warnings.append(
                f"gradients mislead: attacks around them ({', '.join(names)}) fool {lost:.4f} of the images, and no attack along the exact gradient any of those."
            )
    return warnings
