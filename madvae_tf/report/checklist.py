"""The checklist of Carlini et al. 2019, "On Evaluating Adversarial Robustness", from the rows.

Every answer is derived from what was measured: the attacks with their least accuracy of a defence,
budgets, restarts, n. What has no row is stated not to be measured.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from madvae_tf.report.curves import CURVE, by_axis
from madvae_tf.report.names import (
    ATTACKS,
    DEFENSES,
    DETECTORS,
    NORMS,
    THREAT_MODELS,
    Row,
    attack_title,
    budget_of,
    budget_title,
    restart_rows,
)
from madvae_tf.report.parts import Part, definitions
from madvae_tf.report.summary import span
from madvae_tf.report.table import number

WORST = "worst_case"
_NOT = "Not measured."
# Metric -> what is stated of a mean share of the pixels of clean images.
_PIXELS = {
    "faint_gradient_share": "Below 1e-4 of the image’s largest",
    "other_sign_share": "Around the squash it has another sign",
}
_AMONG = {"fooling": "images that fool", "all": "all images"}
# Words of the warnings that the checks of order, curves and gradients give.
_SIGNS = ("beats", "mislead", "more attack", "above chance", "vanish")


def section(rows: Sequence[Row], warnings: Sequence[Any]) -> Part:
    """Questions, and what the rows of tables "robustness", "natural" and "detection" answer."""
    found = [row for row in rows if row["table"] == "robustness"]
    accuracy = [row for row in found if row["metric"] == "accuracy"]
    answers = {
        "Is the attacker’s knowledge stated, and has one who knows everything been tried?": (
            _knowledge(accuracy)
        ),
        "Which budgets?": _budgets(accuracy),
        "Is accuracy without an attack given?": _clean(accuracy),
        "Do the attacks break the undefended classifier?": _undefended(accuracy),
        "Adaptive attacks around gradients that mislead, and on the defence’s own parts?": _listed(
            accuracy, "bpda", "eot", "latent", "joint", "overpowered", "crossing"
        ),
        "Attacks without gradients: on values, and on labels alone?": _listed(
            accuracy, "square", "spsa", "simba", "hop_skip_jump"
        ),
        "Several losses, iterations to convergence, restarts?": _listed(
            accuracy, "pgd_restarts", "apgd", "fab"
        ),
        "What did restarts bring?": _restarts(found),
        "The AutoAttack standard set?": _listed(accuracy, "autoattack_standard"),
        "Another norm’s strongest form: every single pixel?": _listed(accuracy, "one_pixel"),
        "Accuracy against budget, up to chance, and against steps?": _curve(accuracy),
        "Do gradients vanish?": _gradients(found),
        "Does white-box beat black-box, more knowledge less, more steps fewer?": _order(
            found, warnings
        ),
        "Per-image worst case over all attacks?": _listed(accuracy, WORST),
        "Changes that are no attack: rotation, translation, corruptions?": _natural(rows),
        "If images are detected rather than purified: oblivious and adaptive?": _detection(rows),
    }
    return definitions(answers, "Checklist")


def _most(rows: Iterable[Row]) -> Row:
    return max(rows, key=lambda row: row["value"])


def _listed(rows: Sequence[Row], *prefixes: str) -> str:
    """Each attack whose name begins so, with n, its settings, and the least accuracy that it left a
    defence.

    Where it met no defence, the least that it left the classifier alone.
    """
    parts = []
    for attack in ATTACKS:
        own = [row for row in rows if row["attack"] == attack and attack.startswith(prefixes)]
        if own:
            defended = [row for row in own if row["defense"] != "none"] or own
            least = min(defended, key=lambda row: row["value"])
            title = attack_title(attack).removeprefix("then ")
            parts.append(f"{title} ({_setting(own)}; least: {_shown(least)}, {_where(least)})")
    return f"{'; '.join(parts)}." if parts else _NOT


def _setting(rows: Sequence[Row]) -> str:
    shown = [f"n = {span(row['n'] for row in rows)}"]
    for name, noun in (
        ("iterations", "iterations"),
        ("restarts", "restarts"),
        ("queries", "queries"),
    ):
        values = {row["parameters"][name] for row in rows if name in row["parameters"]}
        if values:
            shown.append(f"{'up to ' if name == 'queries' else ''}{span(values)} {noun}")
    return ", ".join(shown)


def _shown(row: Row) -> str:
    return number(row["value"], row["n"])


def _where(row: Row) -> str:
    budget = budget_title(row) if "norm" in row["parameters"] else ""
    return ", ".join(
        part for part in (DEFENSES[row["defense"]], row["threat_model"], budget) if part
    )


def _knowledge(rows: Sequence[Row]) -> str:
    models = {row["threat_model"] for row in rows if row["defense"] != "none"}
    named = [name for name in THREAT_MODELS if name in models]
    if not named:
        return _NOT
    missing = [name for name in THREAT_MODELS if name not in models]
    return f"Measured for defences: {', '.join(named)}." + (
        f" Not measured: {', '.join(missing)}." if missing else ""
    )


def _budgets(rows: Sequence[Row]) -> str:
    measured = {budget_of(row) for row in rows if row["attack"] != CURVE}
    listed = sorted(measured, key=lambda budget: (list(NORMS).index(budget[0]), budget[1]))
    return (
        ", ".join(f"{NORMS[norm]} {epsilon:g}" for norm, epsilon in listed) + "."
        if listed
        else _NOT
    )


def _undefended(rows: Sequence[Row]) -> str:
    own = [
        row
        for row in rows
        if (row["defense"], row["attack"]) == ("none", WORST) and "met" not in row["parameters"]
    ]
    if not own:
        return _NOT
    highest = _most(own)
    each = "; ".join(f"{_shown(row)} ({_where(row)})" for row in own)
    return f"It keeps at most {_shown(highest)} in the worst case of a budget: {each}."


def _clean(rows: Sequence[Row]) -> str:
    # Of a defence that was asked at several budgets, the most images.
    clean = [row for row in rows if row["attack"] == "none"]
    own = {row["defense"]: row for row in sorted(clean, key=lambda row: row["n"])}
    parts = [
        f"{DEFENSES[name]} {_shown(own[name])} (n = {own[name]['n']})"
        for name in DEFENSES
        if name in own
    ]
    return f"{', '.join(parts)}." if parts else _NOT


def _restarts(rows: Sequence[Row]) -> str:
    own = restart_rows(rows)
    if not own:
        return _NOT
    most = _most(own)
    return (
        f"Of an attack’s successes, restarts brought at most {_shown(most)}: "
        f"{attack_title(most['attack'])}, {_where(most)}."
    )


def _gradients(rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["metric"] == "zero_gradient_share"]
    if not own:
        return _NOT
    most = _most(own)
    answer = (
        f"Exactly 0 at a share of at most {_shown(most)} of the clean images"
        f" ({DEFENSES[most['defense']]}, n = {most['n']})."
    )
    for metric, where in _PIXELS.items():
        shares = [row for row in rows if row["metric"] == metric]
        if shares:
            most = _most(shares)
            answer += (
                f" {where} at a mean share of at most {_shown(most)} of the pixels "
                f"({DEFENSES[most['defense']]}, n = {most['n']})."
            )
    return answer


def _curve(rows: Sequence[Row]) -> str:
    parts = []
    for (norm, axis), own in by_axis(rows).items():
        last = max(row["parameters"]["at"] for row in own)
        kept = _most(row for row in own if row["parameters"]["at"] == last)
        title = "budget" if axis == "epsilon" else "steps"
        parts.append(
            f"by {title} up to {last:g} ({NORMS[norm]}), where at most {_shown(kept)} is left"
        )
    return f"PGD {'; '.join(parts)}." if parts else _NOT


def _order(rows: Sequence[Row], warnings: Sequence[Any]) -> str:
    own = [row for row in rows if row["metric"] == "beyond_gradients_share"]
    alone = ""
    if own:
        most = _most(own)
        alone = (
            f" Attacks without gradients fool a share of at most {_shown(most)} of their images "
            "that no attack with one, adaptive ones among them, fools "
            f"({attack_title(most['attack']).removeprefix('then ')}, n = {most['n']}, "
            f"{_where(most)})."
        )
    if any(sign in " ".join(map(str, warnings)) for sign in _SIGNS):
        return f"Warnings of this page say where not.{alone}"
    return f"No check found otherwise.{alone}" if rows else _NOT


def _natural(rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["table"] == "natural"]
    kinds = {row["parameters"]["kind"] for row in own if row["attack"] == "corruption"}
    shown = _listed(own, "rotation_translation", "corruption")
    return shown + (f" Kinds of corruption: {len(kinds)}." if kinds else "")


def _detection(rows: Sequence[Row]) -> str:
    """The least AUC among the images that fool; among all images where none fools."""
    own = [row for row in rows if (row["table"], row["metric"]) == ("detection", "auc")]
    parts: dict[str, list[str]] = {}
    for model in THREAT_MODELS:
        every = [row for row in own if row["threat_model"] == model]
        mine = [row for row in every if row["parameters"]["among"] == "fooling"] or every
        if mine:
            least = min(mine, key=lambda row: row["value"])
            parts.setdefault(_AMONG[least["parameters"]["among"]], []).append(
                f"{model}: least AUC {_shown(least)}, "
                f"{DETECTORS[least['parameters']['detector']]} against "
                f"{attack_title(least['attack'])} ({DEFENSES[least['defense']]}, n = {least['n']})"
            )
    return " ".join(f"Among {title}, {'; '.join(each)}." for title, each in parts.items()) or _NOT
