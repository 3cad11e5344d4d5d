"""Table 4 and the baselines: what other defences keep under the attacks of Table 1, beside the paper's variants."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from madvae_tf.report import markup, summary
from madvae_tf.report.grids import GRID, Block, cell, column_head, head_of, key
from madvae_tf.report.markup import interval, kept, number, text
from madvae_tf.report.names import ATTACKS, DEFENSES, THREAT_MODELS, Row
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.tables import rows_of, table1_lines

# Where the baselines' table repeats a row of another one.
_REPEATED = {"table1": "from Table 1", "table4": "from Table 4"}
_REFUSING = {"detection_rate": "refused", "safe_rate": "safe"}


def section(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Table 4, the table of baselines and a note on each defence that `run["notes"]` has one for."""
    own = [row for row in rows if row["table"] in ("table4", "baselines")]
    if not own:
        return ""
    return _table4(rows) + _baselines(rows) + notes({row["defense"] for row in own}, run)


def _table4(rows: Sequence[Row]) -> str:
    found = [row for row in rows if row["table"] == "table4"]
    if not found:
        return ""
    lines = table1_lines([*_undefended(rows, found), *found], "table4")
    caption = (
        "<b>Table 4.</b> Defense-VAE’s model and loss, trained on our pairs. In each cell the accuracy against the label with its "
        "95% Wilson interval, then the agreement with the classifier’s own prediction on the clean image, and beside it the "
        f"paper’s figure, which is agreement too; without a defence as in Table 1.{summary.several_seeds(rows_of(lines))} {summary.sample(lines)}; "
        f"{summary.model_of(lines)}."
    )
    return markup.table1(lines, caption, name="table4", bold=False)


def _undefended(rows: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Table 1's rows without a defence under the settings of `found`: the paper's Table 4 repeats them too."""
    if any(row["defense"] == "none" for row in found):
        return []
    settings = {(_setting(row), row["threat_model"], row["n"]) for row in found}
    candidates = [row for row in rows if (row["table"], row["defense"]) == ("table1", "none")]
    return [
        {**row, "table": "table4"}
        for row in candidates
        if (_setting(row), row["threat_model"], row["n"]) in settings
    ]


def _baselines(rows: Sequence[Row]) -> str:
    found = [row for row in rows if row["table"] == "baselines"]
    if not found:
        return ""
    columns: dict[str, dict[str, Any]] = {}
    for row in found:
        columns.setdefault(row["attack"], row["parameters"])
    columns = {attack: columns[attack] for attack in ATTACKS if attack in columns}
    shown = mean_rows([row for row in _with_repeated(rows, found) if row["metric"] != "agreement"])
    lines: dict[tuple[str, str, str], list[Row]] = {}
    for row in shown:
        lines.setdefault((row["defense"], row["threat_model"], row["table"]), []).append(row)
    order = (list(DEFENSES), list(THREAT_MODELS), ["table1", "table4", "baselines"])
    body = []
    for line in sorted(
        lines, key=lambda line: [names.index(name) for names, name in zip(order, line, strict=True)]
    ):
        defense, model, source = line
        first = head_of(lines[line])
        details = [first.text, f"{model} · {_REPEATED[source]}" if source in _REPEATED else model]
        title = DEFENSES[defense] + "".join(f'<span class="detail">{detail}</span>' for detail in details)
        cells = [
            cell([row for row in lines[line] if row["attack"] == attack], _draw, first, usual)
            for attack, usual in columns.items()
        ]
        body.append([title, *cells])
    head = ["Defence", *(column_head(attack, usual, rows) for attack, usual in columns.items())]
    return markup.table("baselines", _caption(shown), head, body, attributes=GRID)


def _with_repeated(rows: Sequence[Row], found: list[Row]) -> list[Row]:
    """`found`, and what compares with it: other tables' rows of further defences, under its attack settings."""
    settings = {_setting(row) for row in found}
    shown = list(found)
    for source in _REPEATED:
        known = {row["defense"] for row in shown}
        candidates = [row for row in rows if row["table"] == source and row["defense"] not in known]
        shown += [row for row in candidates if _setting(row) in settings]
    return shown


def _caption(shown: Sequence[Row]) -> str:
    refusing = ""
    if any(row["metric"] in _REFUSING for row in shown):
        refusing = (
            " For a defence that may refuse an image, the accuracy counts its prediction whether it refuses or not; “refused” is "
            "the share of images that it refuses, “safe” the share that is refused or classified right under attack, accepted "
            "and classified right without one."
        )
    return (
        "<b>Baselines.</b> Accuracy against the label with its 95% Wilson interval: a defence a row, an attack a column. n, seed and "
        f"threat model are in each row’s head; slow defences are measured on fewer images.{refusing} Agreement is in "
        f"<code>results.json</code>.{summary.several_seeds(shown)} {summary.evidence(shown)}."
    )


def _draw(block: Block) -> str:
    refusing = [
        f'<span class="detail">{title} {number(block[metric]["value"])} '
        f"{interval(block[metric]['ci_low'], block[metric]['ci_high'])}</span>"
        for metric, title in _REFUSING.items()
        if metric in block
    ]
    return kept(block.get("accuracy"), None) + "".join(refusing)


def _setting(row: Row) -> str:
    return key([row["dataset"], row["attack"], row["parameters"]])


def notes(measured: Collection[str], run: Mapping[str, Any]) -> str:
    """What `run["notes"]` says of the defences measured; nothing where it says nothing of them."""
    said = run.get("notes") or {}
    found = [name for name in DEFENSES if name in measured and said.get(name)]
    if not found:
        return ""
    items = "".join(f"<div><dt>{DEFENSES[name]}</dt><dd>{text(said[name])}</dd></div>" for name in found)
    return f'<h3>Notes on the defences</h3><dl class="notes">{items}</dl>'
