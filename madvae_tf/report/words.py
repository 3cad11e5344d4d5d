"""The report's sentences: what it is, the verdict with its threat model, and what the figures do not say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from madvae_tf.report.markup import DASH, attack_title, budget_title, interval, number, seed_list, table, text
from madvae_tf.report.names import ATTACKS, DEFENSES, NORMS, THREAT_MODELS, VARIANTS, Row
from madvae_tf.report.seeds import seeds_of
from madvae_tf.report.tables import Line, defenses_of, rows_of


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
    judged = _judged(rows)
    names = [name for name in defenses_of(oblivious) if name in ("none", "robust", *judged)]
    worst = {name: _worst(oblivious, name) for name in names}
    found = {name: row for name, row in worst.items() if row is not None}
    kept = [row["value"] for name, row in found.items() if name in judged]
    beside = None if "robust" in judged else found.get("robust")
    sentences = []
    whose = "the paper's purifiers" if beside else "the purifiers"
    if kept:
        sentences.append(
            "<strong>Against an attacker who does not know of the purifier</strong> (threat model: oblivious), "
            f"{whose} keep {_range(kept)} of the images right, each under the attack that is worst for it."
        )
    if beside:
        sentences.append(
            f"{DEFENSES['robust']}, trained against one who knows of it, keeps {number(beside['value'])} under its worst, {attack_title(beside['attack'])}."
        )
    if "none" in found:
        worst_of_all = found["none"]
        sentences.append(
            f"The classifier alone keeps {number(worst_of_all['value'])} under its worst, {attack_title(worst_of_all['attack'])}."
        )
    sentences += _end_to_end(rows, whose if beside else "they")
    return f"<p>{' '.join(sentences)}</p>{_verdict_table(oblivious, found)}{limits(rows)}"


def _judged(rows: Sequence[Row]) -> Sequence[str]:
    """Whom the verdict is on: the paper's own variants, whatever else was measured; `robust` where none of them was."""
    measured = {row["defense"] for row in rows}
    return [name for name in VARIANTS if name in measured] or ["robust"]


def _end_to_end(rows: Sequence[Row], who: str) -> list[str]:
    """A sentence for each budget at which those judged were attacked by one who knows of them, and one on `robust` beside them."""
    judged = _judged(rows)
    budgets: dict[tuple[str, float], list[Row]] = {}
    for row in _worst_cases(rows, judged):
        budgets.setdefault((row["parameters"]["norm"], row["parameters"]["epsilon"]), []).append(row)
    sentences = [
        f"<strong>Against one who knows of it</strong> (threat model: end_to_end, {NORMS[norm]} {epsilon:g}, n = "
        f"{span(row['n'] for row in found)}), {who} keep {_range([row['value'] for row in found])} in the worst case over all attacks."
        for (norm, epsilon), found in budgets.items()
    ]
    beside = _worst_cases(rows, () if "robust" in judged else ("robust",))
    if beside:
        kept = ", ".join(f"{number(row['value'])} at {budget_title(row)} (n = {row['n']})" for row in beside)
        sentences.append(
            f"<strong>{DEFENSES['robust']}</strong>, trained against one who knows of it (end_to_end), keeps {kept}."
        )
    return sentences


def _worst_cases(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Of defences of these names, what all attacks end to end left, on all images that they met."""
    return [
        row
        for row in rows
        if (row["table"], row["attack"], row["metric"]) == ("robustness", "worst_case", "accuracy")
        and row["threat_model"] == "end_to_end"
        and row["defense"] in names
        and not {"over", "met"} & set(row["parameters"])
    ]


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
    several = (
        ", the t-interval of the mean where there are several seeds" if several_seeds(rows_of(lines)) else ""
    )
    caption = (
        f"Accuracy against the label, 95% Wilson interval{several}. {sample(lines)}; threat model: oblivious."
    )
    return table("verdict", caption, ["Purifier", "Clean images", "Under its worst attack"], body)


def limits(rows: Sequence[Row]) -> str:
    """What the robustness figures do not say."""
    # Of those judged alone: a baseline that was attacked end to end says nothing of them.
    judged = _judged(rows)
    models = {row["threat_model"] for row in rows if row["defense"] in judged}
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
    seeds = sorted({seed for line in lines for seed in line.seeds})
    return f"n = {span(line.n for line in lines)} test images per attack, {seed_list(seeds)}"


def evidence(rows: Sequence[Row]) -> str:
    """Like "n = 200 to 1000, seed 0; threat model: oblivious (the attacker ...)", for rows of any table."""
    models = [name for name in THREAT_MODELS if any(row["threat_model"] == name for row in rows)]
    meant = "; ".join(f"{name} ({THREAT_MODELS[name]})" for name in models)
    return f"n = {span(row['n'] for row in rows)}, {seed_list(seeds_of(rows))}; threat model: {meant}"


def span(sizes: Iterable[int]) -> str:
    """Like "1000", or "200 to 1000"."""
    found = sorted(set(sizes))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def several_seeds(rows: Sequence[Row]) -> str:
    """What a cell of several seeds shows; nothing where no row has several."""
    if not any("seeds" in row for row in rows):
        return ""
    return (
        " Where several seeds were run, a cell shows their mean, in brackets its 95% t-interval (for what differs "
        "from seed to seed, not for the draw of the test images), their standard deviation (sd) and the figure of each seed after its number."
    )


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
