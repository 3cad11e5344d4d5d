"""Warnings where an evaluation does not hold: accuracy that rises under more attack, gradients that
vanish or mislead, the weaker beating the stronger.

After Carlini et al. 2019, "On Evaluating Adversarial Robustness", and Athalye et al. 2018:
robustness that comes from a broken attack shows in one of these.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from madvae_tf.evaluation.gradients import FAINT
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.evaluation.steadiness import BATCHWISE, RANDOM
from madvae_tf.evaluation.suites import QUERY_ATTACKS
from madvae_tf.utils.budgets import UsualBudget
from madvae_tf.utils.labels import PAPER_CLASSES, above_chance, chance, skipped

if TYPE_CHECKING:
    from madvae_tf.evaluation.result import Evaluation, Outcome

# Of a pixel: so far any image is from a flat grey one.
GREY = 0.5

# They ask for no gradient, or search among what the decoder draws: that such a search finds less
# than others says nothing of gradients.
_NO_STEPS = (*QUERY_ATTACKS, "overpowered")
# They step along a gradient wherever there is one, so that an image that comes back as it was had
# none.
FOLLOWING = (
    "fgsm",
    "rand_fgsm",
    "mi_fgsm",
    "pgd",
    "pgd_restarts",
    "apgd",
    "joint_pgd",
    "joint_apgd",
    "evasion",
)
# How many images' gradients are looked at in an evaluation.
LOOKED_AT = 20
# Shares of the images from which on a sanity figure is a warning.
_VANISHED, _GAP = 0.05, 0.02
# An accuracy that lies with its whole interval below this share of the way from chance to 1 (0.3
# for ten classes) is near chance.
_POOR = 2 / 9
# Fewer images per class on average may miss a class by chance.
_MANY_PER_CLASS = 10
# The share of an image's pixels from which on faint gradients are a warning, where steps follow
# their size.
_FAINT_SHARE = 0.5
_QUERY_TITLES: dict[str, str] = dict(
    zip(QUERY_ATTACKS, ("Square", "HopSkipJump", "SPSA", "SimBA", "Single Pixel"), strict=True)
)


def _higher(better: np.ndarray, worse: np.ndarray) -> bool:
    """Whether the first rate lies above the second beyond both 95% intervals."""
    low, _ = wilson_interval(int(better.sum()), len(better))
    _, high = wilson_interval(int(worse.sum()), len(worse))
    return low > high


def curve_warnings(
    found: Mapping[str, Mapping[float, np.ndarray]],
    grey: float = GREY,
    classes: int = PAPER_CLASSES,
) -> list[str]:
    """What is wrong with the curves: accuracy that rises, or that does not fall to the chance of so
    many `classes` at the budget `grey`, the last of `budgets`.
    """
    warnings = []
    for kind, curve in found.items():
        points = sorted(curve.items())
        for (less, before), (more, after) in zip(points, points[1:], strict=False):
            if _higher(after, before):
                warnings.append(
                    f"more attack, higher accuracy: {kind} {more:g} leaves {after.mean():.4f},"
                    f" {less:g} left {before.mean():.4f}."
                )
    last = found.get("epsilon", {}).get(grey)
    # Every image can become a flat grey one there: nothing can tell them apart.
    if last is not None and wilson_interval(int(last.sum()), len(last))[0] > chance(classes):
        warnings.append(
            f"accuracy at epsilon {grey:g} is {last.mean():.4f}, above chance"
            f" ({chance(classes):.4g}), where any image can be made grey: PGD fails there."
        )
    return warnings


def gradient_warnings(norms: np.ndarray, faint: np.ndarray | None = None) -> list[str]:
    """Whether gradients vanish.

    Args:
        norms: of `gradients`.
        faint: of `gradients`, where the attacks' steps follow the gradient's size (L2): None in
            L-infinity, where they follow its signs.
    """
    warnings = []
    share = float((norms == 0).mean())
    if share > _VANISHED:
        warnings.append(
            f"gradients vanish: exactly 0 at {share:.4f} of the images; attacks that follow them"
            " prove nothing."
        )
    broken = float((~np.isfinite(norms)).mean())
    if broken:
        warnings.append(
            f"gradients are NaN or infinite at {broken:.4f} of the images, as behind a square root"
            " or a division at 0: attacks that follow them may stand still."
        )
    if faint is not None and faint.mean() > _FAINT_SHARE:
        warnings.append(
            f"gradients nearly vanish: below {FAINT:g} of the image's largest at a mean share of"
            f" {faint.mean():.4f} of the pixels, which steps along them leave where they are;"
            " attacks that follow them prove little."
        )
    return warnings


def squash_warnings(exact: np.ndarray, straight_through: np.ndarray) -> list[str]:
    """Whether PGD around the squash fools what PGD along the exact gradient does not.

    Args:
        exact, straight_through: bool (n,), right after the two; the same images, budget and steps.
    """
    lost = float((exact & ~straight_through).mean())
    if lost <= _GAP:
        return []
    return [
        f"gradients mislead: PGD around the squash fools {lost:.4f} of the images, and PGD along"
        " the exact gradient none of those."
    ]


def beyond_gradients(end: "Evaluation") -> "list[tuple[Outcome, np.ndarray]]":
    """What each attack without gradients finds that those with one do not, BPDA and `crossing`
    among them.

    Args:
        end: what attacks on the system itself left.

    Returns:
        each of them, where others were run, and of the images that it met, bool, which it alone
        fools: no attack with a gradient does. In a sequence it comes last:
        what it still finds, no gradient attack found.
    """
    return _beyond(end, [o for o in end.outcomes if o.trial.attack.name not in QUERY_ATTACKS])


def _beyond(end: "Evaluation", others: "Sequence[Outcome]") -> "list[tuple[Outcome, np.ndarray]]":
    """Each attack without gradients, and bool, which of the images that it met it fools and none of
    `others` does; nothing without others.
    """
    queries = [o for o in end.outcomes if o.trial.attack.name in QUERY_ATTACKS] if others else []
    stood = np.logical_and.reduce([o.robust for o in others])
    found = []
    for query in queries:
        alone = stood & ~query.robust
        found.append((query, alone if query.attacked is None else alone[query.attacked]))
    return found


def _met(found: "Evaluation") -> np.ndarray:
    """Bool (n,): the images that an attack was tried on."""
    everything = np.ones(len(found.clean), bool)
    masks = [everything if o.attacked is None else o.attacked for o in found.outcomes]
    return np.logical_or.reduce([~everything, *masks])


def order_warnings(found: "Mapping[str, Evaluation]") -> list[str]:
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
        # An image that an attack did not meet counts as right under it: compared are those that
        # both attackers met.
        met = _met(end) & _met(found[name])
        strong, weak = end.worst[met], found[name].worst[met]
        if met.any() and _higher(strong, weak):
            of = "" if met.all() else f" of the {len(weak)} images that both met"
            warnings.append(
                f"a weaker attacker beats a stronger one: {name} leaves {weak.mean():.4f},"
                f" end_to_end {strong.mean():.4f}{of}."
            )
    return warnings + around_warnings(end)


def around_warnings(end: "Evaluation") -> list[str]:
    """Where attacks without the exact gradient find what those along it do not.

    Args:
        end: what attacks on the system itself left.
    """
    warnings = []
    exact = [
        o
        for o in end.outcomes
        if o.trial.gradient == "exact" and o.trial.attack.name not in _NO_STEPS
    ]
    around = [o for o in end.outcomes if o.trial.gradient in ("identity", "straight_through")]
    # Where nothing follows the exact gradient: against whatever follows one.
    for query, alone in _beyond(end, exact) or beyond_gradients(end):
        lost = float(alone.mean())
        if lost > _GAP:
            name = _QUERY_TITLES[query.trial.attack.name]
            followed = "the exact gradient" if exact else "a gradient"
            warnings.append(
                f"black-box beats white-box: {name} fools {lost:.4f} of its images, and no attack"
                f" along {followed} any of those."
            )
    if around and exact:
        stood = np.logical_and.reduce([o.robust for o in exact])
        lost = float((stood & ~np.logical_and.reduce([o.robust for o in around])).mean())
        if lost > _GAP:
            # In the order of the outcomes, each once.
            names = dict.fromkeys(
                "crossing" if o.trial.attack.name == "crossing" else "BPDA" for o in around
            )
            warnings.append(
                f"gradients mislead: attacks around them ({', '.join(names)}) fool {lost:.4f} of"
                " the images, and no attack along the exact gradient any of those."
            )
    return warnings


def evaluation_warnings(found: "Evaluation", norms: Mapping[str, np.ndarray]) -> list[str]:
    """What makes an evaluation's figures say less than they seem to.

    Args:
        found: the evaluation.
        norms: gradient that attacks followed -> its size at some images, of `gradients`.
    """
    warnings = []
    for name, sizes in norms.items():
        along = "" if name == "exact" else f"{name}: "
        warnings += [along + warning for warning in gradient_warnings(sizes)]
    for outcome in found.outcomes:
        attack = outcome.trial.attack
        if outcome.unchanged is None or attack.name not in FOLLOWING or not attack.norm_budget:
            continue
        share = float(outcome.unchanged.sum() / max(found.clean.sum(), 1))
        if share > _VANISHED:
            warnings.append(
                f"images come back unchanged: {outcome.trial.label} leaves {share:.4f} of the"
                " images as they were; it found no gradient to follow there."
            )
    n, robust = len(found.clean), int(found.clean.sum())
    if is_near_chance(wilson_interval(robust, n)[1], found.classes):
        warnings.append(
            f"without an attack {robust / n:.4f} of the images are right, with chance at"
            f" {chance(found.classes):.4g}: does the system expect floats in [0, 1], and these"
            " labels?"
        )
    return warnings + around_warnings(found)


def is_near_chance(highest: float, classes: int) -> bool:
    """Whether an accuracy whose interval ends at `highest` is near that of guessing."""
    return highest < above_chance(classes, _POOR)


def data_warnings(images: np.ndarray, labels: np.ndarray, classes: int) -> list[str]:
    """What is odd about the images and labels of an evaluation.

    Args:
        images, labels: (n, height, width, channels), and int64 (n,) in [0, classes).
    """
    warnings = []
    if images.min() == images.max():
        warnings.append(
            f"every pixel of every image is {float(images.min()):g}: there is nothing to classify."
        )
    if len(labels) >= _MANY_PER_CLASS * classes and (sentence := skipped(labels, classes)):
        warnings.append(sentence)
    return warnings


def search_warnings(optimises: bool) -> list[str]:
    """What to know of a system that optimises while it answers."""
    if not optimises:
        return []
    return [
        "the system optimises while it answers: a gradient through many steps of its own may be"
        " faint, so that attacks along it prove little; attack what it searches with, too (targets="
        "..., the suite overpowered), and say how many forward passes an answer takes."
    ]


def budget_warnings(found: "Evaluation", usual: UsualBudget) -> list[str]:
    """A warning where its largest L-infinity budget is unusual for its images."""
    budgets = [epsilon for norm, epsilon in found.threats if norm == "linf"]
    sentence = usual.warning(max(budgets)) if budgets else ""
    return [sentence] if sentence else []


def steadiness_warnings(steady: str, draws: int, repeats: int) -> list[str]:
    """What to know of a system whose answers are no function of the image.

    Args:
        steady: of `steadiness`.
        draws, repeats: of `evaluate`.
    """
    if steady == BATCHWISE:
        return [
            "an image's answer depends on the images beside it in the batch, as of batch"
            " normalisation in training: no figure here is one of the system in use; call the model"
            " for inference (training=False)."
        ]
    if steady != RANDOM:
        return []
    judged = (
        f"an image counts as right where it is right in {repeats} askings"
        if repeats > 1
        else (
            "each figure is of one draw (repeats=10 counts an image as right where it is right ten"
            " times)"
        )
    )
    attacked = (
        f"attacks follow the mean of {draws} draws"
        if draws > 1
        else (
            "attacks follow one draw, and find less than they could (draws=20 follows the mean of"
            " twenty)"
        )
    )
    return [
        f"the system answers one image differently each time that it is asked: {judged}, and"
        f" {attacked}."
    ]
