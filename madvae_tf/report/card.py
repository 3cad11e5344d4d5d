"""A model card for each exported variant, in Markdown: data, use, what was measured, limits.

Every figure comes from a measured row; what was not measured is named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report.formats import to_markdown
from madvae_tf.report.names import (
    ATTACKS,
    DEFENSES,
    THREAT_MODELS,
    Row,
    attack_title,
    budget_title,
    classifier_title,
)
from madvae_tf.report.table import Cell, Figure, Table


def model_card(run: Mapping[str, Any], rows: Sequence[Row], variant: str) -> str:
    """The card of `variant`.

    Args:
        run, rows: of results.json; every key of `run` is optional.
        variant: a name of `names.DEFENSES`.
    """
    source = run.get("source") or {}
    config = run.get("config") or {}
    attack = config.get("attack") or {}
    seen = sorted(
        {row["parameters"].get("epsilon") for row in rows if row["table"] == "table1"} - {None},
        key=float,
    )
    learnt = (
        "attacks on purifier and classifier together, made while it was trained"
        if variant == "robust"
        else (
            f"FGSM and Rand-FGSM images with epsilon {_listed(attack.get('train_epsilons'))}, CW-L2"
            f" images with confidence {_listed(attack.get('train_confidences'))}"
        )
        + (", and clean images" if attack.get("train_clean", True) else "")
    )
    parts = [
        f"# Model card: {DEFENSES.get(variant, variant)}",
        f"A purifier, the variant `{variant}` of MAD-VAE, to stand before {classifier_title(run)}; "
        f"madvae_tf {run.get('project_version') or 'of unknown version'}"
        + (f", commit {run['commit']}" if run.get("commit") else "")
        + f", seed {run.get('seed', 'unknown')}, configuration {run.get('name', 'unknown')}.",
        "## Data",
        (
            f"Data set: {run.get('dataset', 'unknown')}; source: {source.get('kind', 'unknown')}, "
            f"{source.get('detail', 'unknown')}. It learnt from training images of that set and "
            f"{learnt}. Test images were used to measure, never to train or to choose."
        ),
        "## Intended use",
        (
            "Study of purification as a defence: it takes images of that data set, clean or "
            "attacked, and gives what the classifier is to see. Images of another kind come out as "
            "something that looks like this data set's."
        ),
        "## Measured",
        _table(rows, variant, "table1", ("oblivious", "transfer"))
        or "Nothing was measured in this run.",
        "## An attacker who knows of the purifier",
        _table(rows, variant, "robustness", ("end_to_end",))
        or "**Not measured in this run** (`--stage=robustness` with `configs/robustness.py` does). Take it that such an attacker wins.",  # noqa: E501
        "## Limits",
        (
            "* **Robustness against an oblivious attacker is not security.** The attacks of the"
            " first table know of the classifier only. An attacker who differentiates through"
            " purifier and classifier together is a far stronger one: see the section above.\n*"
            " The attacks were those above, at the strengths"
            f" above{f' (epsilon {_listed(seen)})' if seen else ''}: others, and stronger ones, may"
            " do more.\n* A purifier changes clean images, too, and costs accuracy on them: the"
            " row without an attack.\n* Not tested on data from elsewhere, on cameras or scanners,"
            " or on people's own handwriting."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _listed(values: Any) -> str:
    return ", ".join(f"{value:g}" for value in values) if values else "not recorded"


def _table(rows: Sequence[Row], variant: str, table: str, models: Sequence[str]) -> str:
    """The variant's accuracies, and beside each the undefended classifier's; "" without any."""
    accuracy = [row for row in rows if (row["table"], row["metric"]) == (table, "accuracy")]
    own = [row for row in accuracy if row["defense"] == variant and row["threat_model"] in models]
    if not own:
        return ""
    alone = {_place(row): row for row in accuracy if row["defense"] == "none"}
    body = []
    for row in sorted(own, key=lambda row: list(ATTACKS).index(row["attack"])):
        strength = (
            f", {budget_title(row)}" if {"norm", "epsilon"} <= row["parameters"].keys() else ""
        )
        beside = alone.get(_place(row))
        body.append(
            (
                Cell(attack_title(row["attack"]) + strength),
                *map(Cell.of, (row["n"], row["threat_model"], row["seed"])),
                *(
                    Cell(figures=(Figure.of(found, paper=None),)) if found else Cell()
                    for found in (row, beside)
                ),
            )
        )
    meaning = "; ".join(
        f"{name}: {THREAT_MODELS[name]}"
        for name in models
        if any(r["threat_model"] == name for r in own)
    )
    heads = ("attack", "n", "threat model", "seed", "accuracy", "without it")
    return to_markdown(
        Table("", "Accuracy and its 95% interval.", f"{meaning}.", [*map(Cell, heads)], body)
    )


def _place(row: Row) -> tuple[Any, ...]:
    return row["attack"], row["n"], str(sorted(row["parameters"].items(), key=str))
