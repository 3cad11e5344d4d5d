"""Table 1: what each defence keeps under each attack; Table 4 has the same form."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from madvae_tf.report import charts, drawing, summary
from madvae_tf.report.grids import BOTH, Sample, cell, key
from madvae_tf.report.names import (
    ATTACKS,
    DEFENSES,
    FIELDS,
    THREAT_MODELS,
    Row,
    attack_title,
    split_parameters,
)
from madvae_tf.report.parts import Part
from madvae_tf.report.seeds import mean_rows, seeds_of
from madvae_tf.report.summary import seed_list, span
from madvae_tf.report.table import Cell, Table


@dataclass
class Line:
    """One attack setting of a table: defence -> metric -> row; `seeds` are those of any of them."""

    dataset: str
    attack: str
    parameters: dict[str, Any]
    threat_model: str
    n: int
    seeds: tuple[int, ...] = ()
    cells: dict[str, dict[str, Row]] = field(default_factory=dict)


def section(rows: Sequence[Row]) -> list[Part | Table]:
    """The table and its chart; nothing without rows."""
    lines = table1_lines(rows)
    if not lines:
        return []
    bars = "95% Wilson intervals"
    if any("seeds" in row for row in rows_of(lines)):
        bars += ", t-intervals of the mean over several seeds"
    chart = drawing.picture(
        "table1",
        charts.table1_chart([(line.attack, line.cells) for line in lines]),
        "Chart of Table 1's accuracies: a row per attack, a marker per defence with its 95%"
        " interval.",
        "Chart of Table 1.",
        "Left, every column on the full scale; right, the purifiers alone on a scale that does "
        f"not begin at 0. Bars: {bars}. {sample(lines)}; {model_of(lines)}.",
    )
    return [*tables(rows), chart]


def tables(rows: Sequence[Row]) -> list[Table]:
    """The table alone; nothing without rows."""
    lines = table1_lines(rows)
    if not lines:
        return []
    text = (
        "In each cell, first the accuracy against the label with its 95% Wilson interval; then "
        "the agreement with the classifier’s own prediction on the clean image, and beside it "
        "the paper’s figure. The paper’s Table 1 is agreement, although headed accuracy; only "
        "its clean 0.9931 is an accuracy. Bold: the interval lies above that of every other "
        f"column.{summary.several_seeds(rows_of(lines))} {sample(lines)}; {model_of(lines)}."
    )
    return [table(lines, "table1", "Table 1.", text)]


def table(lines: Sequence[Line], name: str, title: str, text: str, bold: bool = True) -> Table:
    """The lines as a table; `bold` marks the best defence of a line, see `best_defense`."""
    defenses = defenses_of(lines)
    body = []
    for line in lines:
        best = best_defense(line) if bold else None
        model = "" if line.threat_model == "oblivious" else f" · {line.threat_model}"
        budget, rest = split_parameters(line.parameters)
        sampled = f"n = {line.n} · {seed_list(line.seeds)}{model}"
        head = Cell(attack_title(line.attack), (*budget, sampled), rest)
        seen = Sample("", False, line.seeds)
        cells = [
            cell(
                list(line.cells.get(defense, {}).values()),
                seen,
                BOTH,
                # Passed as default so that each defence has its own.
                change=lambda row, own=defense == best: {
                    "best": own and row["metric"] == "accuracy"
                },
            )
            for defense in defenses
        ]
        body.append((head, *cells))
    columns = (Cell("Attack"), *(Cell(DEFENSES[defense]) for defense in defenses))
    return Table(name, title, text, columns, body, kind="cards")


def table1_lines(rows: Sequence[Row], table: str = "table1") -> list[Line]:
    """The lines of Table 1 in the order of `ATTACKS`.

    Settings of one attack keep the order of the rows. Rows that differ only in their seed are one
    figure, their mean.

    Args:
        rows: of all tables.
        table: another table of the same form, such as "table4".
    """
    lines: dict[str, Line] = {}
    for row in mean_rows([row for row in rows if row["table"] == table]):
        line = Line(
            *(row[name] for name in ("dataset", "attack", "parameters", "threat_model", "n"))
        )
        line = lines.setdefault(setting_of(row, among=("seed",)), line)
        line.seeds = tuple(sorted({*line.seeds, *seeds_of([row])}))
        line.cells.setdefault(row["defense"], {})[row["metric"]] = row
    order = list(ATTACKS)
    return sorted(lines.values(), key=lambda line: order.index(line.attack))


def setting_of(row: Row, drop: tuple[str, ...] = (), among: tuple[str, ...] = ()) -> str:
    """What rows of one line share: all but defence, metric, measurement, `among`, and `drop`.

    Args:
        row: of results.json.
        drop: parameters that differ within a line.
        among: fields that differ within a line.
    """
    measured = ("defense", "metric", "value", "ci_low", "ci_high", "paper", "parameters", *among)
    shared: list[Any] = [row[name] for name in FIELDS if name not in measured]
    return key(
        [*shared, {name: value for name, value in row["parameters"].items() if name not in drop}]
    )


def defenses_of(lines: Sequence[Line]) -> list[str]:
    """The defences that any line has, in the order of `DEFENSES`."""
    return [name for name in DEFENSES if any(name in line.cells for line in lines)]


def rows_of(lines: Sequence[Line]) -> list[Row]:
    """Every row in the lines' cells."""
    return [row for line in lines for metrics in line.cells.values() for row in metrics.values()]


def best_defense(line: Line) -> str | None:
    """The defence whose accuracy is best beyond the intervals, or None.

    The best is named only where its 95% interval lies wholly above that of every other defence:
    Wilson's interval of a value of one seed, the t-interval of the mean over several.
    """
    measured = {
        name: metrics["accuracy"] for name, metrics in line.cells.items() if "accuracy" in metrics
    }
    if len(measured) < 2 or any(row["ci_low"] is None for row in measured.values()):
        return None
    best = max(measured, key=lambda name: measured[name]["value"])
    others = max(row["ci_high"] for name, row in measured.items() if name != best)
    return best if measured[best]["ci_low"] > others else None


def sample(lines: Sequence[Line]) -> str:
    """Like "n = 1000 test images per attack, seed 0", with a range where lines differ."""
    if not lines:
        return "no measurements"
    seeds = sorted({seed for line in lines for seed in line.seeds})
    return f"n = {span(line.n for line in lines)} test images per attack, {seed_list(seeds)}"


def model_of(lines: Sequence[Line]) -> str:
    """Like "threat model: oblivious"."""
    models = sorted({line.threat_model for line in lines}, key=list(THREAT_MODELS).index)
    return f"threat model: {', '.join(models)}"
