"""Table 4 and the baselines: what other defences keep under the attacks of Table 1."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from madvae_tf.report import summary, table1
from madvae_tf.report.grids import Line, cell, column_head, grid, key
from madvae_tf.report.names import ATTACKS, DEFENSES, THREAT_MODELS, Row
from madvae_tf.report.parts import Part, definitions
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Table

# Where the baselines' table repeats a row of another one.
_REPEATED = {"table1": "from Table 1", "table4": "from Table 4"}
_LABELS = {"accuracy": "", "detection_rate": "refused", "safe_rate": "safe"}


def section(rows: Sequence[Row], run: Mapping[str, Any]) -> list[Part | Table]:
    """Table 4, the table of baselines, and the notes on defences of `run["notes"]`."""
    own = {row["defense"] for row in rows if row["table"] in ("table4", "baselines")}
    return [*_table4(rows), *_baselines(rows), *notes(own, run)]


def _table4(rows: Sequence[Row]) -> list[Table]:
    found = [row for row in rows if row["table"] == "table4"]
    if not found:
        return []
    lines = table1.table1_lines([*_undefended(rows, found), *found], "table4")
    text = (
        "Defense-VAE’s model and loss, trained on our pairs. In each cell the accuracy against "
        "the label with its 95% Wilson interval, then the agreement with the classifier’s own "
        "prediction on the clean image, and beside it the paper’s figure, which is agreement "
        f"too; without a defence as in Table 1.{summary.several_seeds(table1.rows_of(lines))} "
        f"{table1.sample(lines)}; {table1.model_of(lines)}."
    )
    return [table1.table(lines, "table4", "Table 4.", text, bold=False)]


def _undefended(rows: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Table 1's rows without a defence under the settings of `found`, as in the paper's Table 4."""
    if any(row["defense"] == "none" for row in found):
        return []
    settings = {(_setting(row), row["threat_model"], row["n"]) for row in found}
    candidates = [row for row in rows if (row["table"], row["defense"]) == ("table1", "none")]
    return [
        {**row, "table": "table4"}
        for row in candidates
        if (_setting(row), row["threat_model"], row["n"]) in settings
    ]


def _baselines(rows: Sequence[Row]) -> list[Table]:
    found = [row for row in rows if row["table"] == "baselines"]
    if not found:
        return []
    usual: dict[str, dict[str, Any]] = {}
    for row in found:
        usual.setdefault(row["attack"], row["parameters"])
    columns = {name: column_head(name, usual[name], rows) for name in ATTACKS if name in usual}
    shown = mean_rows([row for row in _with_repeated(rows, found) if row["metric"] != "agreement"])
    lines = []
    for defense, title in DEFENSES.items():
        for model in THREAT_MODELS:
            for source in ("table1", "table4", "baselines"):
                place = (defense, model, source)
                own = [
                    row
                    for row in shown
                    if (row["defense"], row["threat_model"], row["table"]) == place
                ]
                if own:
                    repeated = f"{model} · {_REPEATED[source]}" if source in _REPEATED else model
                    lines.append(Line(title, own, (repeated,)))
    return [
        grid(
            *("baselines", "Baselines.", _text(shown)),
            columns,
            lines,
            lambda row: row["attack"],
            lambda own, sample, attack: cell(own, sample, _LABELS, usual[attack]),
        )
    ]


def _with_repeated(rows: Sequence[Row], found: list[Row]) -> list[Row]:
    """`found`, and other tables' rows of further defences under its attack settings."""
    settings = {_setting(row) for row in found}
    shown = list(found)
    for source in _REPEATED:
        known = {row["defense"] for row in shown}
        candidates = [row for row in rows if row["table"] == source and row["defense"] not in known]
        shown += [row for row in candidates if _setting(row) in settings]
    return shown


def _text(shown: Sequence[Row]) -> str:
    refusing = ""
    if any(_LABELS.get(row["metric"]) for row in shown):
        refusing = (
            " For a defence that may refuse an image, the accuracy counts its prediction whether "
            "it refuses or not; “refused” is the share of images that it refuses, “safe” the "
            "share that is refused or classified right under attack, accepted and classified "
            "right without one."
        )
    return (
        "Accuracy against the label with its 95% Wilson interval: a defence a row, an attack a "
        "column. n, seed and threat model are in each row’s head; slow defences are measured on "
        f"fewer images.{refusing} Agreement is in results.json.{summary.several_seeds(shown)} "
        f"{summary.evidence(shown)}."
    )


def _setting(row: Row) -> str:
    return key([row["dataset"], row["attack"], row["parameters"]])


def notes(measured: Collection[str], run: Mapping[str, Any]) -> list[Part]:
    """What `run["notes"]` says of the defences measured; nothing where it says nothing of them."""
    given = run.get("notes") or {}
    found = {
        title: str(given[name])
        for name, title in DEFENSES.items()
        if name in measured and given.get(name)
    }
    return [definitions(found, "Notes on the defences")] if found else []
