"""The further experiments in Markdown, for a README: Table 3, the baselines, time per image, clusters, reference settings, verdicts.

A cell holds the accuracy (or what the table's line says); intervals are in results.json and on the page.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from madvae_tf.report.names import ATTACKS, BLACK_BOX_TABLES, DEFENSES, Row, classifier_words
from madvae_tf.report.verdict import COLUMNS, verdicts

_PROTOCOLS = {
    "table3a": "(a) the released code's: FGSM on each substitute, evaluated on it and on it behind the purifiers; agreement (paper's figure)",
    "table3b": "(b) transfer: the same images on {classifier}; accuracy",
    "table3c": "(c) extraction (Papernot et al.): a substitute trained on the defended classifier's labels; accuracy",
}


def further_markdown(results: dict[str, Any]) -> str:
    """A Markdown table for each experiment that has rows, each with a line that says what it is; "" without any."""
    rows: Sequence[Row] = results["rows"]
    classifier = classifier_words(results.get("run") or {})
    parts = [*(_black_box(rows, table, classifier) for table in BLACK_BOX_TABLES)]
    parts += [_baselines(rows), _time(rows)]
    parts += [_clusters(rows), _reference(rows), *_verdicts(rows)]
    return "\n\n".join(part for part in parts if part)


def _table(title: str, rows: Sequence[Row], heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    sizes = sorted({row["n"] for row in rows})
    models = ", ".join(sorted({row["threat_model"] for row in rows}))
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    body = [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines)]
    return f"{title}. n = {n}, seed {seeds}, threat model: {models}.\n\n" + "\n".join(body)


def _grid(
    rows: Sequence[Row], line: Callable[[Row], Any], column: Callable[[Row], Any], cell: Callable[[Row], str]
) -> dict[Any, dict[Any, str]]:
    grid: dict[Any, dict[Any, str]] = {}
    for row in rows:
        grid.setdefault(line(row), {})[column(row)] = cell(row)
    return grid


def _with_paper(row: Row) -> str:
    return f"{row['value']:.4f}" + ("" if row["paper"] is None else f" ({row['paper']:.4f})")


def _black_box(rows: Sequence[Row], table: str, classifier: str) -> str:
    metric = "agreement" if table == "table3a" else "accuracy"
    own = [r for r in rows if r["table"] == table and r["metric"] == metric and r["attack"] == "fgsm"]
    if not own:
        return ""
    names = [name for name in DEFENSES if any(row["defense"] == name for row in own)]
    grid = _grid(own, lambda row: row["parameters"]["substitute"], lambda row: row["defense"], _with_paper)
    lines = [[letter, *(grid[letter].get(name, "–") for name in names)] for letter in sorted(grid)]
    title = f"**Table 3 {_PROTOCOLS[table].format(classifier=classifier)}**"
    return _table(title, own, ["substitute", *(DEFENSES[name] for name in names)], lines)


def _baselines(rows: Sequence[Row]) -> str:
    own = [
        row for row in rows if row["table"] == "baselines" and row["metric"] in ("accuracy", "detection_rate")
    ]
    if not own:
        return ""
    attacks = [name for name in ATTACKS if any(row["attack"] == name for row in own)]
    accuracy = [row for row in own if row["metric"] == "accuracy"]
    grid = _grid(accuracy, lambda row: row["defense"], lambda row: row["attack"], _with_paper)
    for row in own:
        if row["metric"] == "detection_rate":
            grid[row["defense"]][row["attack"]] += f" (refuses {row['value']:.4f})"
    models = {
        row["defense"]: f"{row['threat_model']}, n {row['n']}" for row in accuracy if row["attack"] != "none"
    }
    lines = [
        [
            f"{DEFENSES[name]} ({models.get(name, 'clean only')})",
            *(grid[name].get(attack, "–") for attack in attacks),
        ]
        for name in DEFENSES
        if name in grid
    ]
    return _table(
        "**Baselines**, accuracy", own, ["defence", *(ATTACKS[attack] for attack in attacks)], lines
    )


def _time(rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["table"] == "time"]
    batches = sorted({row["parameters"]["batch"] for row in own})
    grid = _grid(
        own,
        lambda row: row["defense"],
        lambda row: row["parameters"]["batch"],
        lambda row: f"{row['value']:.2f}",
    )
    lines = [
        [DEFENSES[name], *(grid[name].get(batch, "–") for batch in batches)]
        for name in DEFENSES
        if name in grid
    ]
    heads = ["defence", *(f"batch {batch}" for batch in batches)]
    return _table("**Time per image**, ms, defence and classifier", own, heads, lines) if own else ""


def _clusters(rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["table"] == "clusters" and row["parameters"]["labels"] == "label"]
    columns = [(metric, space) for metric in ("silhouette", "knn_purity") for space in ("features", "umap")]
    grid = _grid(
        own,
        lambda row: (row["parameters"]["of"], row["defense"]),
        lambda row: (row["metric"], row["parameters"]["space"]),
        lambda row: f"{row['value']:.3f}",
    )
    lines = [
        [of if name == "none" else f"{of}, {DEFENSES[name]}", *(found.get(column, "–") for column in columns)]
        for (of, name), found in grid.items()
    ]
    heads = ["points", *(f"{metric.replace('_', ' ')}, {space}" for metric, space in columns)]
    return _table("**Clusters by true label**", own, heads, lines) if own else ""


def _reference(rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["table"] == "reference" and row["metric"] == "agreement"]
    attacks = [name for name in ATTACKS if any(row["attack"] == name for row in own)]
    grid = _grid(
        own,
        lambda row: row["parameters"]["setting"],
        lambda row: row["attack"],
        lambda row: f"{row['value']:.4f}",
    )
    lines = [[setting, *(found.get(attack, "–") for attack in attacks)] for setting, found in grid.items()]
    heads = ["setting", *(ATTACKS[attack] for attack in attacks)]
    return _table("**Settings of the reference code**, vanilla, agreement", own, heads, lines) if own else ""


def _verdicts(rows: Sequence[Row]) -> Iterable[str]:
    """One for each budget, each figure with its interval and n."""
    for (norm, epsilon), lines in verdicts(rows).items():
        used = [column for column in COLUMNS if any(column in line for line in lines.values())]
        body = [
            [DEFENSES[defense], *(_judged(line.get(column), norm) for column in used)]
            for defense, line in lines.items()
        ]
        every = [row for line in lines.values() for row in line.values()]
        title = f"**The verdict, {'L2' if norm == 'l2' else 'L-infinity'} {epsilon:g}**, accuracy"
        yield _table(title, every, ["defence", *(column.title for column in used)], body)


def _judged(row: Row | None, norm: str) -> str:
    """A figure; with its budget where that is in another norm than the table's."""
    if row is None:
        return "–"
    own = row["parameters"]
    ball = f", L2 {own['epsilon']:g}" if own["norm"] == "l2" != norm else ""
    return f"{row['value']:.4f} ({row['ci_low']:.4f}–{row['ci_high']:.4f}, n {row['n']}{ball})"
