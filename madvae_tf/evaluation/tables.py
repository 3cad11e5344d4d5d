"""An evaluation's figures as CSV, LaTeX, HTML and a picture."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from madvae_tf.attacks.geometry import NORMS
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.report import formats, names, rendering
from madvae_tf.report.names import ATTACKS, THREAT_MODELS
from madvae_tf.report.table import Cell, Figure, Table

if TYPE_CHECKING:
    from madvae_tf.evaluation.result import Evaluation

COLUMNS: tuple[str, ...] = (
    "attack",
    "norm",
    "epsilon",
    "threat_model",
    "accuracy",
    "ci_low",
    "ci_high",
    "n",
    "seed",
    "model",
)


def share(robust: np.ndarray) -> dict[str, Any]:
    """An accuracy with its 95% Wilson interval and n."""
    low, high = wilson_interval(int(robust.sum()), len(robust))
    return {"accuracy": float(robust.mean()), "ci_low": low, "ci_high": high, "n": len(robust)}


def plain(row: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A row of results.json with norm and epsilon in columns of their own; None where an attack has
    no budget.
    """
    own = row["parameters"]
    named = {
        "norm": own.get("norm"),
        "epsilon": own.get("epsilon"),
        "accuracy": row["value"],
        "model": model,
    }
    return {name: named[name] if name in named else row[name] for name in COLUMNS}


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `plain` as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def headline(found: "Evaluation") -> str:
    """Clean and worst accuracy with n, intervals, budgets and threat model, in one line of text."""
    parts = []
    for title, robust in (("clean", found.clean), ("worst case", found.worst)):
        cell = share(robust)
        parts.append(
            f"{title} {cell['accuracy']:.4f} [{cell['ci_low']:.4f}, {cell['ci_high']:.4f}]"
        )
    warned = f", {len(found.warnings)} warnings: see .summary()" if found.warnings else ""
    return (
        f"{', '.join(parts)}, n = {len(found.clean)}, {budgets(found)},"
        f" {found.threat_model}{warned}"
    )


def budgets(found: "Evaluation") -> str:
    """Like "L-infinity 0.3, L2 1.5"."""
    return ", ".join(f"{NORMS[norm]} {epsilon:g}" for norm, epsilon in found.threats) or "no budget"


def to_latex(found: "Evaluation") -> str:
    """See `Evaluation.to_latex`."""
    return formats.to_latex(_table(found))


def to_html(found: "Evaluation") -> str:
    """See `Evaluation`: a table with its caption, and the warnings below."""
    return rendering.fragment(_table(found), found.warnings)


def _table(found: "Evaluation") -> Table:
    meaning = THREAT_MODELS.get(found.threat_model, "")
    caption = f"{found.threat_model} ({meaning})" if meaning else found.threat_model
    text = (
        f"accuracy with its 95% Wilson interval, n = {len(found.clean)}, seed {found.seed}; threat"
        f" model {caption}."
    )
    body = []
    for row in found.rows():
        where = "" if row["norm"] is None else f"{names.NORMS[row['norm']]} {row['epsilon']:g}"
        figure = Figure(row["accuracy"], (row["ci_low"], row["ci_high"]), row["n"])
        title = Cell(names.attack_title(row["attack"]))
        body.append((title, Cell(where), Cell(figures=(figure,)), Cell.of(row["n"])))
    columns = [*map(Cell, ("Attack", "Budget", "Accuracy", "n"))]
    return Table("evaluation", f"{found.model}:", text, columns, body)


def plot(found: "Evaluation", path: str | os.PathLike[str] | None) -> Any:
    """See `Evaluation.plot`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from madvae_tf.report.drawing import WIDTH, settings

    rows = found.rows()
    values = np.array([row["accuracy"] for row in rows])
    error = np.array(
        [
            [max(0.0, r["accuracy"] - r["ci_low"]), max(0.0, r["ci_high"] - r["accuracy"])]
            for r in rows
        ]
    )
    with settings():
        figure = Figure(figsize=(WIDTH, 1.2 + 0.32 * len(rows)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        places = np.arange(len(rows))
        axes.barh(places, values, color="#0072b2", height=0.6)
        axes.errorbar(
            values, places, xerr=error.T, fmt="none", ecolor="#17202b", elinewidth=1.2, capsize=2
        )
        axes.set_yticks(places, [str(ATTACKS.get(row["attack"], row["attack"])) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"accuracy, n = {len(found.clean)}, {found.threat_model}")
        axes.set_title(f"{found.model}, {budgets(found)}", fontsize=10)
        if path is not None:
            figure.savefig(path, dpi=200)
    return figure
