"""Did it help? What a fitted defence keeps on held-out images: without an attack, and against who
does and who does not know of it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.data.batches import evenly_spaced
from madvae_tf.evaluation import Evaluation, Suite, System, Threat, Trial, crossing, evaluate
from madvae_tf.evaluation.diagnostics import is_near_chance
from madvae_tf.evaluation.tables import share
from madvae_tf.utils.images import as_float
from madvae_tf.utils.labels import PAPER_CLASSES, chance
from madvae_tf.utils.progress import progress_bar, say

if TYPE_CHECKING:
    from madvae_tf.api.fitted import FittedDefense

IMAGES, ITERATIONS = 100, 50
# An accuracy below it against an attacker who knows of the purifier is that of no defence.
NEAR_ZERO = 0.1
_ROWS = {"classifier": "classifier alone", "defense": "behind the purifier"}
_CELLS = {"clean": "clean", "unaware": "attacker unaware", "aware": "attacker aware"}


def measure(
    system: System,
    classifier: Any,
    images: np.ndarray,
    labels: np.ndarray,
    threats: Sequence[Threat],
    seed: int,
) -> dict[str, Any]:
    """The figures, values that JSON can hold.

    The unaware attacker attacks the classifier alone (oblivious), the aware one the whole system
    (end to end); he may do what the other does. APGD on the margin, whose gradient does not vanish
    where the classifier is sure.

    Args:
        system: the defended one.
        classifier: images -> logits, alone.
        images: uint8 or floating point (n, height, width, channels), held out; at most 100 of them,
            evenly spaced, are attacked.
        labels: int64 (n,).
        threats: budgets; an image must be right under all of them.
        seed: of the attacks' starts.

    Returns:
        "n", "threats", "attack", "seed", "classes"; "classifier" and "defense", each with "clean",
        "unaware" and "aware": accuracy, ci_low, ci_high, n. A figure that could not be measured
        does not cost the training: then "not_measured" says why.
    """
    try:
        return _measured(system, classifier, images, labels, threats, seed)
    except Exception as error:
        return {"not_measured": " ".join(str(error).split())[:300] or type(error).__name__}


def concluded(
    defense: "FittedDefense",
    held: tuple[np.ndarray, np.ndarray],
    threats: Sequence[Threat],
    seed: int,
) -> "FittedDefense":
    """The defence with its figures in `info`, said in a line unless lines are silent here."""
    defense.info["figures"] = measure(defense.system(), defense.classifier, *held, threats, seed)
    say(line(defense.info["figures"], defense.variant))
    return defense


def _measured(
    system: System,
    classifier: Any,
    images: np.ndarray,
    labels: np.ndarray,
    threats: Sequence[Threat],
    seed: int,
) -> dict[str, Any]:
    rows = evenly_spaced(len(images), IMAGES)
    x, y = as_float(images[rows]), labels[rows]
    options: dict[str, Any] = {"seed": seed, "batch_size": len(rows), "progress": False}
    alone = DefendedModel(classifier)
    plain = [_suite(threat, crossable=False) for threat in threats]
    through = [
        _suite(threat, threat.norm == "l2" and "straight_through" in system.targets)
        for threat in threats
    ]
    with progress_bar(3, "held-out images", "evaluation") as bar:
        undefended = evaluate(alone, x, y, plain, **options)
        bar.update()
        unaware = evaluate(system, x, y, plain, target=alone, threat_model="oblivious", **options)
        bar.update()
        aware = evaluate(system, x, y, through, **options)
        bar.update()
    return {
        "n": len(rows),
        "threats": [str(threat) for threat in threats],
        "attack": f"APGD of {ITERATIONS} steps on the margin",
        "seed": int(seed),
        "classes": undefended.classes,
        "classifier": _cells(undefended, undefended.worst, undefended.worst),
        "defense": _cells(aware, unaware.worst, unaware.worst & aware.worst),
    }


def _suite(threat: Threat, crossable: bool) -> Suite:
    attack = APGD(norm=threat.norm, epsilon=threat.epsilon, iterations=ITERATIONS, loss="margin")
    first = crossing(threat.epsilon, ITERATIONS, 1).trials if crossable else ()
    return Suite(f"held_out_{threat.norm}", (*first, Trial("apgd_margin", attack)), sequential=True)


def _cells(found: Evaluation, unaware: np.ndarray, aware: np.ndarray) -> dict[str, Any]:
    return {"clean": share(found.clean), "unaware": share(unaware), "aware": share(aware)}


def line(figures: Mapping[str, Any], variant: str) -> str:
    """One line: classifier alone and behind the purifier, clean | attacker unaware | attacker
    aware, and what to do where it did not help.
    """
    if "classifier" not in figures:
        return f"held-out accuracy under attack was not measured: {figures.get('not_measured', '')}"
    parts = [
        f"{title} {' | '.join(_text(figures[row][cell]) for cell in _CELLS)}"
        for row, title in _ROWS.items()
    ]
    return (
        f"held-out accuracy, {' | '.join(_CELLS.values())} (n = {figures['n']},"
        f" {' and '.join(figures['threats'])}, {figures['attack']}):"
        f" {'; '.join(parts)}.{advice(figures, variant)}"
    )


def advice(figures: Mapping[str, Any], variant: str) -> str:
    """What to do where the system is near chance without an attack, or an attacker who knows of the
    purifier gets through; else nothing.
    """
    if "defense" not in figures:
        return ""
    clean = figures["defense"]["clean"]
    classes = figures.get("classes", PAPER_CLASSES)
    if is_near_chance(clean["ci_high"], classes):
        return (
            f" Without an attack {clean['accuracy']:.3f} of the images are right behind the"
            f" purifier, with chance at {chance(classes):.4g}: train longer (epochs) or on more"
            " images, or with a smaller learning_rate."
        )
    if figures["defense"]["aware"]["accuracy"] >= NEAR_ZERO:
        return ""
    way_out = (
        "train longer (epochs) or on more images"
        if variant == "robust"
        else "use madvae_tf.fit_robust"
    )
    return f" An attacker who knows of this purifier gets through: {way_out}."


def short(figures: Mapping[str, Any]) -> str:
    """For a repr: the defended row without intervals; nothing where there are no figures."""
    if "defense" not in figures:
        return ""
    cells = ", ".join(f"{name} {figures['defense'][name]['accuracy']:.3f}" for name in _CELLS)
    return f"; held out, n = {figures['n']}, {' and '.join(figures['threats'])}: {cells}"


def to_html(figures: Mapping[str, Any]) -> str:
    """The two rows as a table; nothing where there are no figures."""
    if "defense" not in figures:
        return ""
    head = "".join(f"<th>{title}</th>" for title in ("", *_CELLS.values()))
    lines = "".join(
        f"<tr><th>{title}</th>{''.join(f'<td>{_text(figures[row][cell])}</td>' for cell in _CELLS)}</tr>"  # noqa: E501
        for row, title in _ROWS.items()
    )
    caption = (
        f"Accuracy on {figures['n']} held-out images, {' and '.join(figures['threats'])},"
        f" {figures['attack']}, 95% Wilson intervals"
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"  # noqa: E501


def _text(cell: Mapping[str, Any]) -> str:
    return f"{cell['accuracy']:.3f} [{cell['ci_low']:.3f}, {cell['ci_high']:.3f}]"
