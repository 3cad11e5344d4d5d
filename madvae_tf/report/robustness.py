"""Attacks on whole systems: a table for each budget, the curves that must fall, restarts and gradients, and what comes without an attacker."""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import baselines, checklist, detection, natural, summary, verdict
from madvae_tf.report.curves import CURVE, by_axis, curve
from madvae_tf.report.grids import GRID, cell, draw_accuracy, head_of
from madvae_tf.report.markup import DASH, attack_title, budget_title, figure, number, table, text
from madvae_tf.report.names import ATTACKS, DEFENSES, NORMS, THREAT_MODELS, Row, restart_rows
from madvae_tf.report.seeds import mean_rows

# Names that only sequences and the worst case carry; a single attack's parameters are in results.json.
_WORST = "worst_case"
_GRADIENTS = {
    "zero_gradient_share": "gradient exactly 0",
    "faint_gradient_share": "mean share of pixels where the gradient is faint",
    "other_sign_share": "mean share of pixels where the gradient around the squash has another sign",
}
# In a drawing there is no markup.
_PLAIN = {"linf": "L∞", "l2": "L2", "l0": "L0"}


def section(
    rows: Sequence[Row], warnings: Sequence[Any], files: dict[str, bytes], run: Mapping[str, Any]
) -> str:
    """Everything of tables "robustness", "natural" and "detection"; nothing without rows. Figures go to `files`.

    Of `run` come the notes on defences that no other table has.
    """
    found = mean_rows([row for row in rows if row["table"] == "robustness"])
    beside = natural.section(rows) + detection.section(rows, files)
    if not found:
        return beside
    balls = sorted(
        {(row["parameters"]["norm"], row["parameters"]["epsilon"]) for row in found},
        key=lambda ball: (list(NORMS).index(ball[0]), ball[1]),
    )
    tables = [_ball(found, norm, epsilon) for norm, epsilon in balls]
    listed = checklist.section(rows, warnings)
    elsewhere = {row["defense"] for row in rows if row["table"] in ("table4", "baselines")}
    noted = baselines.notes({row["defense"] for row in found} - elsewhere, run)
    return "".join([verdict.section(found), noted, *tables, _curves(found), _sanity(found), beside, listed])


def _of_ball(rows: Sequence[Row], norm: str, epsilon: float) -> list[Row]:
    return [
        row
        for row in rows
        if (row["parameters"]["norm"], row["parameters"]["epsilon"]) == (norm, epsilon)
        and row["metric"] == "accuracy"
        and row["attack"] != CURVE
    ]


def _ball(rows: Sequence[Row], norm: str, epsilon: float) -> str:
    """Defences and threat models in lines, attacks and the worst case in columns."""
    found = _of_ball(rows, norm, epsilon)
    columns = [attack for attack in ATTACKS if any(row["attack"] == attack for row in found)]
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        lines.setdefault((row["defense"], row["threat_model"]), []).append(row)
    order = (list(DEFENSES), list(THREAT_MODELS))
    body = []
    for line in sorted(
        lines, key=lambda pair: [names.index(name) for names, name in zip(order, pair, strict=True)]
    ):
        defense, model = line
        first = head_of(lines[line])
        title = DEFENSES[defense] + "".join(
            f'<span class="detail">{detail}</span>' for detail in (first.text, model)
        )
        cells = []
        for attack in columns:
            own = [row for row in lines[line] if row["attack"] == attack]
            cells.append(_worst(own) if attack == _WORST else cell(own, draw_accuracy, first))
        body.append([title, *cells])
    if not body:
        return ""
    name = f"robustness-{norm}-{epsilon:g}".replace(".", "-")
    caption = (
        f"<b>{NORMS[norm]} budget {epsilon:g}.</b> Accuracy against the label with its 95% Wilson interval. “then” columns: AutoAttack’s "
        "sequence, each attack on what the former left. Worst case: an image counts as right only if no attack of the line fooled it; "
        "an attack with a smaller n met so many of the images only, and the others count as right under it; "
        f"“of all” takes every threat model’s attacks together.{summary.several_seeds(found)} {summary.evidence(found)}."
    )
    return table(name, caption, ["Defence", *map(attack_title, columns)], body, attributes=GRID)


def _worst(rows: Sequence[Row]) -> str:
    parts = []
    for row in rows:
        words_of = {"over": "of all", "met": f"of the {row['n']} that met every attack"}
        said = ", ".join(words_of[name] for name in words_of if name in row["parameters"])
        over = f' <span class="detail">{said}</span>' if said else ""
        parts.append(f'<span class="accuracy">{figure(row)}{over}</span>')
    return "".join(parts) or DASH


def _curves(rows: Sequence[Row]) -> str:
    """PGD by budget and by steps, for each norm: a line a defence, a column a place on the axis."""
    return "".join(_curve_of(own, norm, axis) for (norm, axis), own in by_axis(rows).items())


def _curve_of(own: Sequence[Row], norm: str, axis: str) -> str:
    by_budget = axis == "epsilon"
    shown = NORMS[norm]
    places = sorted({row["parameters"]["at"] for row in own})
    body = []
    for defense in (name for name in DEFENSES if any(row["defense"] == name for row in own)):
        mine = [row for row in own if row["defense"] == defense]
        first = head_of(mine)
        cells = [
            cell([row for row in mine if row["parameters"]["at"] == place], draw_accuracy, first)
            for place in places
        ]
        body.append([f'{DEFENSES[defense]}<span class="detail">{first.text}</span>', *cells])
    title = f"budget ({shown})" if by_budget else f"steps at {shown} {own[0]['parameters']['epsilon']:g}"
    grey = f", and at {places[-1]:g}, where any image can be made grey, to chance" if by_budget else ""
    caption = f"<b>Accuracy under PGD by {title}.</b> It must fall from left to right{grey}. {summary.evidence(own)}."
    column = "ε =" if by_budget else "steps ="
    head = ["Defence", *(f"{column} {place:g}" for place in places)]
    drawn = f"<b>Curve of the accuracy under PGD by {title}.</b> Bands: 95% Wilson intervals. {summary.evidence(own)}."
    name = axis if norm == "linf" else f"{axis}-{norm}"
    label = f"budget ε ({_PLAIN[norm]})" if by_budget else "steps"
    return curve(f"curve-by-{name}", own, label, drawn) + table(
        f"robustness-by-{name}", caption, head, body, attributes=GRID
    )


def _sanity(rows: Sequence[Row]) -> str:
    """Gradients that vanished, and what restarts brought."""
    restarts = restart_rows(rows)
    body = [
        [
            f'{DEFENSES[row["defense"]]}<span class="detail">{text(row["threat_model"])}</span>',
            f"{attack_title(row['attack'])}, {budget_title(row)}",
            "restarts’ share of its successes",
            number(row["value"]),
            str(row["n"]),
        ]
        for row in restarts
    ]
    body = [
        [DEFENSES[row["defense"]], "clean images", what, figure(row), str(row["n"])]
        for metric, what in _GRADIENTS.items()
        for row in rows
        if row["metric"] == metric
    ] + body
    if not body:
        return ""
    caption = (
        "<b>Gradients and restarts.</b> A gradient of exactly 0 stops every attack that follows it. Pixels where it is faint (below 1e-4 of the "
        "image’s largest) stay where they are under steps along it, in L<sub>2</sub>; steps along its signs, in L<sub>∞</sub>, move them too. Restarts of an attack that bring much say that "
        "still more of them would bring more."
    )
    return table(
        "robustness-sanity", caption, ["Defence", "Where", "What", "Share", "n"], body, attributes=GRID
    )
