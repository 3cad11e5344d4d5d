"""The report's sentences: what it is, the verdict with its threat model, and what the figures do not say."""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report.markup import DASH, attack_title, interval, number, table, text
from madvae_tf.report.schema import ATTACKS, DEFENSES, THREAT_MODELS, Row
from madvae_tf.report.tables import Line, defenses_of


def introduction(run: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """What was built and measured, in plain language."""
    attacks = list(dict.fromkeys(line.attack for line in lines if line.attack != "none"))
    purifiers = [name for name in defenses_of(lines) if name != "none"]
    dataset = text(run.get("dataset") or "its dataset")
    return (
        "<p>An image classifier can be fooled by changes to an image that a person would ignore. MAD-VAE puts a "
        "<em>purifier</em> before the classifier: a variational autoencoder, trained on pairs of attacked and clean "
        f"images, that redraws every image before the classifier sees it. This run on {dataset} trained the "
        f"classifier and measured {count(len(purifiers), 'purifier')} under {count(len(attacks), 'attack')} "
        f"({sample(lines)}).</p>"
    )


def verdict(lines: Sequence[Line], rows: Sequence[Row]) -> str:
    """The finding from the rows, never without its threat model, and what it does not cover."""
    oblivious = [line for line in lines if line.threat_model == "oblivious"]
    worst = {name: _worst(oblivious, name) for name in defenses_of(oblivious)}
    found = {name: row for name, row in worst.items() if row is not None}
    kept = [row["value"] for name, row in found.items() if name != "none"]
    sentences = []
    if kept:
        sentences.append(
            "<strong>Against an attacker who does not know of the purifier</strong> (threat model: oblivious), the "
            f"purifiers keep {_range(kept)} of the images right, each under the attack that is worst for it."
        )
    if "none" in found:
        worst_of_all = found["none"]
        sentences.append(
            f"The classifier alone keeps {number(worst_of_all['value'])} under its worst, {attack_title(worst_of_all['attack'])}."
        )
    return f"<p>{' '.join(sentences)}</p>{_verdict_table(oblivious, found)}{limits(rows)}"


def _verdict_table(lines: Sequence[Line], worst: Mapping[str, Row]) -> str:
    cells = {
        name: cell.accuracy for line in lines if line.attack == "none" for name, cell in line.cells.items()
    }
    body = [
        [
            DEFENSES[name],
            _kept(cells.get(name)),
            f'{_kept(row)}<span class="detail">{attack_title(row["attack"])}</span>',
        ]
        for name, row in worst.items()
    ]
    if not body:
        return ""
    caption = f"Accuracy against the label, 95% Wilson interval. {sample(lines)}; threat model: oblivious."
    return table("verdict", caption, ["Purifier", "Clean images", "Under its worst attack"], body)


def limits(rows: Sequence[Row]) -> str:
    """What the robustness figures do not say."""
    models = {row["threat_model"] for row in rows}
    if "end_to_end" in models:
        return (
            '<div class="note"><strong>Read each figure with its threat model.</strong> Only the rows marked '
            "end_to_end were measured against an attacker who knows of the purifier; the oblivious ones say nothing "
            "about that attacker.</div>"
        )
    return (
        '<div class="note"><strong>These figures say nothing about an attacker who knows of the purifier.</strong> '
        f"Oblivious means: {THREAT_MODELS['oblivious']}. An attacker who knows of it can attack purifier and classifier "
        "together; that is not measured here, and purifiers of this kind have been broken that way. Do not read "
        "this page as evidence of security.</div>"
    )


def warnings_banner(warnings: Sequence[Any]) -> str:
    """The run's warnings, where a reader cannot miss them; nothing if there are none."""
    if not warnings:
        return ""
    return (
        f'<div class="warn" role="alert"><strong>{count(len(warnings), "warning").capitalize()}: read the figures with care.</strong>'
        f"<ul>{''.join(f'<li>{text(warning)}</li>' for warning in warnings)}</ul></div>"
    )


def sample(lines: Sequence[Line]) -> str:
    """Like "n = 1000 test images per attack, seed 0", with a range where lines differ."""
    if not lines:
        return "no measurements"
    sizes = sorted({line.n for line in lines})
    seeds = ", ".join(str(seed) for seed in sorted({line.seed for line in lines}))
    span = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"n = {span} test images per attack, seed {seeds}"


def model_of(rows: Sequence[Any]) -> str:
    """Like "threat model: oblivious" for lines, matrices or whatever else carries one."""
    models = sorted({row.threat_model for row in rows}, key=list(THREAT_MODELS).index)
    return f"threat model: {', '.join(models)}"


def count(size: int, noun: str) -> str:
    """Like "four purifiers"."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"{words[size] if size < len(words) else size} {noun}{'' if size == 1 else 's'}"


def _worst(lines: Sequence[Line], name: str) -> Row | None:
    rows = [line.cells[name].accuracy for line in lines if line.attack != "none" and name in line.cells]
    measured = [row for row in rows if row is not None]
    return min(measured, key=lambda row: (row["value"], list(ATTACKS).index(row["attack"])), default=None)


def _kept(row: Row | None) -> str:
    return DASH if row is None else f"{number(row['value'])} {interval(row['ci_low'], row['ci_high'])}"


def _range(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"
