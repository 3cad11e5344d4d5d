"""The attacks: what each does to the classifier alone."""

from collections.abc import Sequence
from typing import Any

from madvae_tf.report.grids import key
from madvae_tf.report.names import ATTACKS, Row, attack_title, split_parameters
from madvae_tf.report.table import Cell, Figure, Table
from madvae_tf.report.table1 import setting_of

_COLUMNS = {"success_rate": "Success rate", "mean_l2": "Mean L2", "mean_linf": "Mean L∞"}


def section(rows: Sequence[Row], run: dict[str, Any]) -> list[Table]:
    """The table of attack settings; nothing where there is none."""
    body = []
    for line in attack_lines(rows, run):
        sample = [f"{name} = {line[name]}" for name in ("n",) if line.get(name) is not None]
        sample += [f"seed {line['seed']}"] if line.get("seed") is not None else []
        budget, rest = split_parameters(line.get("parameters"))
        cells = [
            (
                Cell()
                if line.get(metric) is None
                else Cell(
                    figures=(
                        Figure(
                            float(line[metric]),
                            line.get("success_interval") if metric == "success_rate" else None,
                            line.get("n"),
                        ),
                    )
                )
            )
            for metric in _COLUMNS
        ]
        body.append(
            (
                Cell(attack_title(line.get("attack", "")), (*budget, " · ".join(sample)), rest),
                *cells,
            )
        )
    if not body:
        return []
    text = (
        "Success rate: the share of the n images on which the attack fools the undefended "
        "classifier. Mean L2 and L∞: the size of the change, pixels in [0, 1], over all n "
        "images; one that the attack gave up on counts as 0."
    )
    columns = [Cell("Attack"), *map(Cell, _COLUMNS.values())]
    return [Table("attacks", "What each attack does to the classifier alone.", text, columns, body)]


def attack_lines(rows: Sequence[Row], run: dict[str, Any]) -> list[dict[str, Any]]:
    """One dict per attack setting: attack, parameters, n, and what is known of its strength.

    That is success_rate, success_interval, mean_l2 and mean_linf. The rows of table "attacks" come
    first; settings that only `run["attacks"]` knows follow.
    """
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["table"] != "attacks":
            continue
        blank = {name: row[name] for name in ("attack", "parameters", "threat_model", "n", "seed")}
        line = lines.setdefault(setting_of(row), blank)
        line[row["metric"]] = row["value"]
        if row["metric"] == "success_rate" and row["ci_low"] is not None:
            line["success_interval"] = (row["ci_low"], row["ci_high"])
    known = {(line["attack"], key(line["parameters"])) for line in lines.values()}
    extra = [
        a
        for a in run.get("attacks") or []
        if (a.get("attack"), key(a.get("parameters"))) not in known
    ]
    order = list(ATTACKS)
    both = [*lines.values(), *extra]
    return sorted(
        both, key=lambda a: order.index(a["attack"]) if a.get("attack") in order else len(order)
    )
