"""Table structures -> HTML. Everything that comes from a row or from the run passes `text` (html.escape)."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from madvae_tf.report.downloads import links
from madvae_tf.report.names import ATTACKS, CONFUSION_TABLES, DEFENSES, NORMS, Row
from madvae_tf.report.seeds import seeds_of
from madvae_tf.report.tables import CLASSES, Confusion, Line, best_defense, defenses_of

DASH = '<span class="none" aria-label="not measured">–</span>'


def text(value: Any) -> str:
    """`value` as escaped HTML text."""
    return html.escape(str(value), quote=True)


def number(value: Any) -> str:
    """0.9731 style: four decimals for a fraction, an integer as it is, a dash for None or what is not finite."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, float) or value != value or value in (float("inf"), float("-inf")):
        return DASH
    return f"{value:.4f}"


def interval(low: Any, high: Any) -> str:
    """The two ends of an interval, or nothing."""
    return (
        ""
        if low is None or high is None
        else f'<span class="interval">[{number(low)}, {number(high)}]</span>'
    )


def parameters(values: Mapping[str, Any] | None) -> str:
    """Like "epsilon 0.3, steps 40", names in words."""
    return text(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in (values or {}).items()))


def optional(values: Mapping[str, Any], key: str, pattern: str) -> str:
    """`pattern` with the value in it, or nothing where the value is absent or None."""
    return "" if values.get(key) is None else pattern.format(text(values[key]))


def attack_title(name: Any) -> str:
    """What the page calls an attack."""
    return text(ATTACKS.get(name, name))


def budget_title(row: Row) -> str:
    """Like "L∞ 0.3", of a row with a budget."""
    return f"{NORMS[row['parameters']['norm']]} {row['parameters']['epsilon']:g}"


def table(
    name: str,
    caption: str,
    head: Sequence[str],
    body: Sequence[Sequence[str]],
    foot: str = "",
    attributes: str = "",
) -> str:
    """A captioned table; the first cell of every row is its header. All arguments are HTML."""
    columns = "".join(f'<th scope="col">{title}</th>' for title in head)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{value}</td>" for value in row[1:])}</tr>'
        for row in body
    )
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    inner = f"<thead><tr>{columns}</tr></thead><tbody>{lines}</tbody>{foot}"
    return captioned(name, caption, inner, attributes)


def captioned(name: str, caption: str, inner: str, attributes: str = "") -> str:
    """A table whose inside is `inner`, its caption and downloads above; a narrow screen scrolls the table, not page or caption.

    Its lines can be sorted unless it is a matrix, whose order says something.
    """
    sortable = "" if 'class="confusion"' in attributes else " data-sortable"
    return (
        f'<div class="captioned"><p class="caption" id="{name}-caption">{caption}</p>{links(name, caption, inner)}'
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{name}-caption">'
        f'<table id="{name}" aria-labelledby="{name}-caption"{sortable}{attributes}>{inner}</table></div></div>'
    )


def table1(lines: Sequence[Line], caption: str, name: str = "table1", bold: bool = True) -> str:
    """Table 1: an attack a line, a defence a column; accuracy, agreement and the paper's agreement in each cell.

    Args:
        name: the table's identifier: other tables have the same form.
        bold: mark the best defence of a line, see `best_defense`.
    """
    defenses = defenses_of(lines)
    head = "".join(f'<th scope="col" role="columnheader">{DEFENSES[key]}</th>' for key in defenses)
    body = []
    for line in lines:
        best = best_defense(line) if bold else None
        cells = "".join(
            f'<td role="cell" data-label="{DEFENSES[key]}">{_cell(line, key, key == best)}</td>'
            for key in defenses
        )
        model = "" if line.threat_model == "oblivious" else f" · {text(line.threat_model)}"
        body.append(
            f'<tr role="row"><th scope="row" role="rowheader">{attack_title(line.attack)}'
            f'<span class="detail">{parameters(line.parameters)}</span>'
            f'<span class="detail">n = {line.n} · {seed_list(line.seeds)}{model}</span></th>{cells}</tr>'
        )
    inner = (
        f'<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Attack</th>{head}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody>'
    )
    # The roles keep the table a table for a screen reader where the phone's style sheet restacks it.
    return captioned(name, caption, inner, ' class="cards" role="table"')


def _cell(line: Line, defense: str, best: bool) -> str:
    cell = line.cells.get(defense)
    if cell is None:
        return DASH
    figures = kept(cell.accuracy, cell.agreement, best)
    found = seeds_of([row for row in (cell.accuracy, cell.agreement) if row is not None])
    # Without this a cell of one seed would look like one of all the line's seeds.
    alone = f'<span class="detail">{seed_list(found)} alone</span>' if found != line.seeds else ""
    return figures + alone


def kept(accuracy: Row | None, agreement: Row | None, best: bool = False) -> str:
    """A cell's accuracy and, below it, its agreement; those that are None are left out."""
    parts = []
    if accuracy is not None:
        parts.append(f'<span class="accuracy">{figure(accuracy, "strong" if best else "span")}</span>')
    if agreement is not None:
        parts.append(f'<span class="agreement"><i>agreement</i> {figure(agreement)}</span>')
    return "".join(parts)


def figure(row: Row, tag: str = "span") -> str:
    """A row's value, its interval, what several seeds gave, and the paper's figure."""
    paper = ""
    if row["paper"] is not None:
        paper = f' <span class="paper"><i>paper</i> <span class="figure">{number(row["paper"])}</span></span>'
    said = f"{row['value']!r}, n = {row['n']}, {row['threat_model']}, seed {row['seed']}"
    value = f'<{tag} class="value" title="{text(said)}">{number(row["value"])}</{tag}>'
    return f"{value} {interval(row['ci_low'], row['ci_high'])}{several(row)}{paper}"


def several(row: Row, show: Callable[[float], str] = number) -> str:
    """What several seeds gave: the standard deviation, and each seed's value; nothing for one seed."""
    if "seeds" not in row:
        return ""
    items = [f"<i>sd</i> {show(row['deviation'])}"]
    items += [f"<i>{seed}:</i> {show(value)}" for seed, value in row["seeds"].items()]
    return f' <span class="seeds">{" · ".join(f"<span>{item}</span>" for item in items)}</span>'


def seed_list(seeds: Sequence[int]) -> str:
    """Like "seed 0", or "seeds 0, 1, 2"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def confusion(matrix: Confusion, caption: str, name: str) -> str:
    """A confusion matrix, predicted labels in rows and true labels in columns, shaded by share of the column."""
    totals = matrix.counts.sum(axis=0)
    head = "".join(f'<th scope="col">{label}</th>' for label in range(CLASSES))
    body = []
    for predicted in range(CLASSES):
        cells = []
        for true in range(CLASSES):
            count = int(matrix.counts[predicted, true])
            share = count / int(totals[true]) if totals[true] else 0.0
            # Errors are rare, so their shade rises with the square root or no error would be seen.
            shade = 0.5 * share if predicted == true else min(0.75, 1.5 * share**0.5)
            kind = "hit" if predicted == true else "miss"
            said = f"predicted {predicted}, true {true}: {count} of {int(totals[true])} ({share:.2%})"
            cells.append(f'<td class="{kind}" style="--s:{shade:.3f}" title="{said}">{count}</td>')
        body.append(f'<tr><th scope="row">{predicted}</th>{"".join(cells)}</tr>')
    foot = _per_class("Accuracy, ours", "ours", matrix.per_class, 4)
    if matrix.paper_per_class is not None:
        foot += _per_class("Accuracy, paper", "paper", matrix.paper_per_class, 2)
    inner = (
        f'<thead><tr><th scope="col"><span class="detail">predicted ↓ true →</span></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody><tfoot>{foot}</tfoot>"
    )
    return captioned(name, caption, inner, ' class="confusion"')


def _per_class(title: str, kind: str, values: Sequence[float | None], decimals: int) -> str:
    cells = "".join(f"<td>{DASH if value is None else f'{value:.{decimals}f}'}</td>" for value in values)
    return f'<tr class="{kind}"><th scope="row">{title}</th>{cells}</tr>'


def attacks(lines: Sequence[Mapping[str, Any]], caption: str) -> str:
    """What each attack did to the classifier alone: parameters, success rate, size of the change, n."""
    body = [
        [
            f'{attack_title(line.get("attack", ""))}<span class="detail">{parameters(line.get("parameters"))}</span>'
            f'<span class="detail">{optional(line, "n", "n = {}")}{optional(line, "seed", " · seed {}")}</span>',
            f"{number(line.get('success_rate'))} {interval(*line.get('success_interval', (None, None)))}",
            number(line.get("mean_l2")),
            number(line.get("mean_linf")),
        ]
        for line in lines
    ]
    head = ["Attack", "Success rate", "Mean L<sub>2</sub>", "Mean L<sub>∞</sub>"]
    return table("attacks", caption, head, body)


def other(rows: Sequence[Row], caption: str) -> str:
    """The rows that have no table of their own, as they are."""
    body = [
        [
            text(row["table"]),
            f'{attack_title(row["attack"])}<span class="detail">{parameters(row["parameters"])}</span>',
            text(row["threat_model"]),
            DEFENSES[row["defense"]],
            text(row["metric"]),
            f"{number(row['value'])} {interval(row['ci_low'], row['ci_high'])}",
            number(row["n"]),
            number(row["seed"]),
        ]
        for row in rows
    ]
    head = ["Table", "Attack", "Threat model", "Defence", "Metric", "Value", "n", "Seed"]
    return table("other", caption, head, body)


def confusion_title(matrix: Confusion) -> str:
    """Like "Table 8. Vanilla"."""
    return f"Table {list_number(matrix.table)}. {DEFENSES[CONFUSION_TABLES[matrix.table]]}"


def list_number(name: str) -> str:
    """Gives "8" of "table8"."""
    return name.removeprefix("table")
