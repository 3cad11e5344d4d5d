"""Suites of attacks, by name.

The AutoAttack standard set is Croce & Hein's (2020, v. "standard"):

    APGD-CE 100 iterations -> APGD-T, DLR, 9 targets -> FAB-T, 9 targets -> Square, 5,000 queries

one run each, each on what the former left. Its name is carried with these numbers only, and for
four classes and more, where the DLR loss is defined. Of fewer than ten classes all others are
targets.
"""

import dataclasses
from collections.abc import Callable, Sequence

from madvae_tf.attacks import Attack
from madvae_tf.attacks.apgd import APGD, TARGETS
from madvae_tf.attacks.corruptions import CORRUPTIONS, SEVERITIES, Corruption
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.fab import FAB
from madvae_tf.attacks.hop_skip_jump import HopSkipJump
from madvae_tf.attacks.joint import JointAPGD, JointPGD
from madvae_tf.attacks.objectives import LEAST_CLASSES
from madvae_tf.attacks.overpowered import Overpowered
from madvae_tf.attacks.simba import SimBA
from madvae_tf.attacks.single_pixel import SinglePixel
from madvae_tf.attacks.spatial import RotationTranslation
from madvae_tf.attacks.spsa import SPSA
from madvae_tf.attacks.square import Square
from madvae_tf.attacks.threshold_l2 import ThresholdL2
from madvae_tf.utils.errors import UserError

STANDARD = "autoattack_standard"
SMALLER = "autoattack_smaller"
_STANDARD_NUMBERS = {"iterations": 100, "restarts": 1, "targets": TARGETS, "queries": 5000}
GRADIENTS = ("exact", "identity", "straight_through", "expectation", "latent")
# What asks for labels or values only.
QUERY_ATTACKS = ("square", "hop_skip_jump", "spsa", "simba", "single_pixel")
_SIMBA_STEP = 0.2


@dataclasses.dataclass(frozen=True)
class Trial:
    """One attack of a suite.

    Attributes:
        label: its name in rows and files; what follows an "@" sets trials of one name apart and is
            not in rows.
        attack: with its parameters.
        gradient: exact, identity (BPDA through the purifier), straight_through (BPDA through its
            squash), expectation (EOT) or latent (latent matching): which of the targets it is
            given.
    """

    label: str
    attack: Attack
    gradient: str = "exact"

    def __post_init__(self) -> None:
        if self.gradient not in GRADIENTS:
            raise UserError(
                f"Invalid gradient of {self.label}: received {self.gradient!r}, expected one of"
                f" {', '.join(GRADIENTS)}."
            )

    @property
    def title(self) -> str:
        """The label without what follows an "@"."""
        return self.label.partition("@")[0]


@dataclasses.dataclass(frozen=True)
class Suite:
    """Attacks that belong together.

    Attributes:
        name: "autoattack_standard" for that set alone.
        trials: in order.
        sequential: each on what the former left; if not, each on all images.
    """

    name: str
    trials: tuple[Trial, ...]
    sequential: bool = False


def for_classes(suite: Suite, classes: int) -> tuple[Suite, list[str]]:
    """A suite as a system of so many classes can be attacked: no more targets than there are other
    classes, and the margin where the DLR loss is not defined.

    Returns:
        the suite, which is then not called standard, and a sentence for each loss that was
        replaced.
    """
    trials = tuple(
        dataclasses.replace(trial, attack=trial.attack.for_classes(classes))
        for trial in suite.trials
    )
    notes = []
    for before, after in zip(suite.trials, trials, strict=True):
        old, new = (getattr(trial.attack, "loss", "") for trial in (before, after))
        if old != new:
            notes.append(
                f"{before.label} follows the loss {new}: {old} needs {LEAST_CLASSES[old][0]}"
                f" classes, and the system has {classes}."
            )
    name = suite.name
    if notes and name == STANDARD:
        name = SMALLER
        notes.append(f"with these losses it is not AutoAttack's standard set: it is called {name}.")
    return dataclasses.replace(suite, name=name, trials=trials), notes


def _check_ball(norm: str, epsilon: float) -> None:
    """Raises `UserError` for an L-infinity budget above 1: the whole range of a pixel, so that it
    was meant in steps of 1/255.
    """
    if norm == "linf" and isinstance(epsilon, int | float) and epsilon > 1:
        raise UserError(
            f"Invalid epsilon: received {epsilon:g} in L-infinity, expected at most 1, the range of"
            f" a pixel; a budget of {epsilon:g} steps of 255 is {epsilon:g} / 255."
        )


def _step_size(epsilon: float, iterations: int) -> float:
    # The paper's PGD walks 40 x 0.01 for a budget of 0.3: the same length of path for other
    # numbers. Invalid numbers are the attack's to refuse.
    return max(epsilon * 4 / 3 / max(min(iterations, 40), 1), 1e-6)


def auto_attack(
    norm: str = "linf",
    epsilon: float = 0.3,
    iterations: int = 100,
    restarts: int = 1,
    targets: int = TARGETS,
    queries: int = 5000,
) -> Suite:
    """The AutoAttack sequence; named a standard one only with the standard numbers, the defaults.

    Raises:
        UserError: a parameter that an attack refuses.
    """
    _check_ball(norm, epsilon)
    own = {"norm": norm, "epsilon": epsilon}
    numbers = {
        "iterations": iterations,
        "restarts": restarts,
        "targets": targets,
        "queries": queries,
    }
    repeated = {**own, "iterations": iterations, "restarts": restarts}
    return Suite(
        STANDARD if numbers == _STANDARD_NUMBERS else SMALLER,
        (
            Trial("apgd_ce", APGD(**repeated)),
            Trial("apgd_t", APGD(**repeated, loss="dlr_targeted", targets=targets)),
            Trial("fab_t", FAB(**repeated, targets=targets)),
            Trial("square", Square(**own, queries=queries, restarts=restarts)),
        ),
        sequential=True,
    )


def gradient_suite(
    norm: str = "linf",
    epsilon: float = 0.3,
    iterations: int = 100,
    restarts: int = 2,
    early: bool = True,
    gradient: str = "exact",
) -> Suite:
    """PGD with restarts and APGD with three losses, each on all images.

    Args:
        early: see `APGD`; False for images that are carried over to another model.
        gradient: see `Trial`.

    Raises:
        UserError: a parameter that an attack refuses, or a budget that no image is inside of.
    """
    _check_ball(norm, epsilon)
    own = {
        "norm": norm,
        "epsilon": epsilon,
        "iterations": iterations,
        "restarts": restarts,
        "early": early,
    }
    step_size = _step_size(epsilon, iterations)
    names = {
        "exact": "gradient",
        "identity": "bpda",
        "straight_through": "bpda_squash",
        "expectation": "eot",
    }
    name = names.get(gradient, gradient)
    prefix = "" if gradient == "exact" else f"{name}_"
    return Suite(
        name,
        tuple(
            Trial(f"{prefix}{label}", attack, gradient)
            for label, attack in (
                ("pgd_restarts", RestartedPGD(**own, step_size=step_size)),
                ("apgd_ce_restarts", APGD(**own)),
                ("apgd_margin", APGD(**own, loss="margin")),
                ("apgd_dlr", APGD(**own, loss="dlr")),
            )
        ),
    )


def overpowered(epsilon: float = 4.0, iterations: int = 200, restarts: int = 20) -> Suite:
    """Jalal et al.'s search on the defence's manifold, in L2."""
    attack = Overpowered(epsilon=epsilon, iterations=iterations, restarts=restarts)
    return Suite("overpowered", (Trial("overpowered", attack),))


def crossing(epsilon: float = 2.0, iterations: int = 100, restarts: int = 2) -> Suite:
    """For a system that begins with a squash, in L2: pixels across its threshold, chosen by the
    gradient around it.
    """
    attack = ThresholdL2(epsilon=epsilon, iterations=iterations, restarts=restarts)
    return Suite("crossing", (Trial("crossing", attack, "straight_through"),))


def decision(norm: str = "linf", epsilon: float = 0.3, queries: int = 20_000) -> Suite:
    """HopSkipJump: labels only, at most `queries` of them for an image."""
    _check_ball(norm, epsilon)
    return Suite(
        "decision",
        (Trial("hop_skip_jump", HopSkipJump(norm=norm, epsilon=epsilon, queries=queries)),),
    )


def score(norm: str = "linf", epsilon: float = 0.3, queries: int = 12_800) -> Suite:
    """SPSA and SimBA: logits only, at most `queries` of them for an image, each on all images."""
    _check_ball(norm, epsilon)
    own = {"norm": norm, "epsilon": epsilon}
    # A pixel is changed once, so that in L-infinity the whole budget is allowed to each; in L2 the
    # authors' step.
    step = epsilon if norm == "linf" else min(_SIMBA_STEP, epsilon)
    return Suite(
        "score",
        (
            Trial("spsa", SPSA(**own, queries=queries, samples=min(128, 2 * ((queries - 2) // 2)))),
            Trial("simba", SimBA(**own, step=step, queries=queries)),
        ),
    )


def joint(
    norm: str = "linf",
    epsilon: float = 0.3,
    iterations: int = 100,
    restarts: int = 2,
    weights: Sequence[float] = (0.1, 1.0, -0.1),
) -> Suite:
    """The joint loss with each weight: APGD on the margin, and PGD on the cross-entropy with the
    first one. The system needs `purify`.

    The cross-entropy of an image that is surely right is so near 0 that the distance alone leads;
    the margin is of the distance's size.
    """
    _check_ball(norm, epsilon)
    own = {"norm": norm, "epsilon": epsilon, "iterations": iterations, "restarts": restarts}
    step_size = _step_size(epsilon, iterations)
    trials = [
        Trial(f"joint_apgd@{weight:g}", JointAPGD(**own, loss="margin", weight=weight))
        for weight in weights
    ]
    first = [
        Trial("joint_pgd", JointPGD(**own, step_size=step_size, weight=weight))
        for weight in weights[:1]
    ]
    return Suite("joint", (*first, *trials))


def one_pixel() -> Suite:
    """Every pixel of an image black and white, one at a time."""
    return Suite("one_pixel", (Trial("one_pixel", SinglePixel(exhaustive=True)),))


def natural(severities: Sequence[int] = SEVERITIES) -> Suite:
    """The worst rotation and translation of a grid, and every common corruption in each severity."""  # noqa: E501
    corrupted = [
        Trial(f"corruption@{kind}-{severity}", Corruption(kind=kind, severity=severity))
        for kind in CORRUPTIONS
        for severity in severities
    ]
    return Suite("natural", (Trial("rotation_translation", RotationTranslation()), *corrupted))


SUITES: dict[str, Callable[..., Suite]] = {
    "gradient": gradient_suite,
    "autoattack": auto_attack,
    "overpowered": overpowered,
    "crossing": crossing,
    "decision": decision,
    "score": score,
    "joint": joint,
    "one_pixel": one_pixel,
    "natural": natural,
}
