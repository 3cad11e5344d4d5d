"""The report as one self-contained HTML page: sections in reading order, pictures embedded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from madvae_tf.report import (
    baselines,
    black_box,
    clusters,
    diagram,
    explorer,
    facts,
    figures,
    gallery,
    markup,
    opening,
    reference,
    robustness,
    scripting,
    strips,
    summary,
    timing,
    tuning,
)
from madvae_tf.report.markup import number, text
from madvae_tf.report.names import ATTACKS, POOLED_ATTACK, Row
from madvae_tf.report.style import CSS
from madvae_tf.report.tables import Line, attack_lines, confusions, other_rows, rows_of, table1_lines


def build_page(
    run: dict[str, Any],
    rows: list[Row],
    images: Mapping[str, np.ndarray],
    embeddings: Mapping[str, np.ndarray],
) -> tuple[str, dict[str, bytes]]:
    """The page's HTML and its figures as file name -> bytes (PNG, and the pipeline's SVG)."""
    lines = table1_lines(rows)
    files: dict[str, bytes] = {}
    drawing = diagram.pipeline_svg(_thumbnails(images))
    files["pipeline.svg"] = drawing.encode()
    title = f"MAD-VAE report: {text(run.get('name') or 'run')}"
    warnings = run.get("warnings") or []
    sections = [
        f"<h1>{title}</h1>",
        _section(
            "result",
            "Which purifier, against whom, how good",
            opening.section(rows) + summary.warnings_banner(warnings),
        ),
        _section("run", "This run", summary.introduction(run, lines) + facts.run_facts(run, lines)),
        _section("pipeline", "How a purifier is trained", _pipeline(drawing)),
        _section("results", "Table 1: six attacks, with and without a purifier", _table1(lines, files)),
        _section("attack-settings", "The attacks", _attacks(rows, run)),
        _section("black-box", "Table 3: black-box attacks", black_box.section(rows)),
        _section("baselines", "Table 4 and baselines", baselines.section(rows, run)),
        _section(
            "robustness", "Attackers who know of the defence", robustness.section(rows, warnings, files, run)
        ),
        _section("reference", "Why the paper’s figures are lower", reference.section(rows)),
        _section("confusion", "Tables 2, 8, 9 and 10: which classes are confused", _confusions(rows)),
        _section("explorer", "Gallery: one digit, one attack, one variant", explorer.section(images, run)),
        _section(
            "images",
            "Figures 7 to 11: what the purifiers see and draw",
            gallery.strips_section(images, run, files),
        ),
        _section(
            "clusters",
            "Figures 2 to 5 and 12 to 17: clustering",
            clusters.section(rows, embeddings, run, files),
        ),
        _section("training", "Training", gallery.training_section(run, files)),
        _section("tuning", "Tuning", tuning.section(run)),
        _section("other-rows", "Other measurements", _other(rows)),
        _section("image-time", "Time per image", timing.section(rows, run)),
        _section("time", "Time and memory", facts.stage_table(run)),
        _section("warnings", "Warnings", facts.warning_list(warnings)),
        _section("reproduce", "How to reproduce this page", facts.reproduce(run)),
    ]
    script = scripting.source()
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{scripting.policy(script)}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in sections if part)
        + f"\n</main><script>{script}</script></body></html>\n"
    )
    return page, files


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}-section"><h2>{title}</h2>{body}</section>' if body else ""


def _thumbnails(images: Mapping[str, np.ndarray]) -> dict[str, str]:
    """One digit on its way through the pipeline, under the first attack and purifier that have all three pictures."""
    for attack in ATTACKS:
        for defense in ("combined", "pd", "cls", "vanilla"):
            keys = ("clean", f"adversarial/{attack}", f"purified/{defense}/{attack}")
            if attack != "none" and all(key in images and len(images[key]) for key in keys):
                # The digit in the middle: an arbitrary but fixed choice.
                middle = len(images["clean"]) // 2
                names = ("clean", "adversarial", "purified")
                return {
                    name: gallery.data_uri(strips.tile_png(images[key][middle]))
                    for name, key in zip(names, keys, strict=True)
                }
    return {}


def _pipeline(drawing: str) -> str:
    terms = {
        "Attack": "changes x so that the frozen classifier errs; clean images are among the inputs too.",
        "L<sub>r</sub> reconstruction": "the purified image against the clean one x, as binary cross-entropy summed over "
        "pixels. All variants.",
        "L<sub>kl</sub> KL divergence": "keeps the code near a standard normal distribution. All variants.",
        "L<sub>c</sub> classification": "the frozen classifier’s cross-entropy on the purified image against the label y. "
        "Variants cls and combined.",
        "L<sub>p</sub> − L<sub>d</sub> proximity and distance": "pulls the code towards its class’s centre and away from "
        "the others. Variants pd and combined.",
        "Frozen classifier": "trained first, on clean images; its weights stay as they are while a purifier is trained.",
    }
    legend = "".join(f"<div><dt>{term}</dt><dd>{meaning}</dd></div>" for term, meaning in terms.items())
    return f'<div class="pipeline">{drawing}<dl>{legend}</dl></div>'


def _table1(lines: Sequence[Line], files: dict[str, bytes]) -> str:
    if not lines:
        return ""
    several = summary.several_seeds(rows_of(lines))
    bars = "95% Wilson intervals" + (", t-intervals of the mean over several seeds" if several else "")
    caption = (
        f"<b>Table 1.</b> In each cell, first the accuracy against the label with its 95% Wilson interval; then the "
        f"agreement with the classifier’s own prediction on the clean image, and beside it the paper’s figure. The paper’s "
        f"Table 1 is agreement, although headed accuracy; only its clean 0.9931 is an accuracy. Bold: the interval "
        f"lies above that of every other column.{several} {summary.sample(lines)}; {summary.model_of(lines)}."
    )
    alt = "Chart of Table 1's accuracies: one row per attack, one marker per defence with its 95% interval."
    chart = gallery.captioned(
        files,
        "table1.png",
        figures.table1_chart(lines),
        alt,
        "<b>Chart of Table 1.</b> Left, every column on the full scale; right, the purifiers alone on a scale that does "
        f"not begin at 0. Bars: {bars}. {summary.sample(lines)}; {summary.model_of(lines)}.",
    )
    return markup.table1(lines, caption) + chart


def _attacks(rows: Sequence[Row], run: dict[str, Any]) -> str:
    lines = attack_lines(rows, run)
    if not lines:
        return ""
    caption = (
        "<b>What each attack does to the classifier alone.</b> Success rate: the share of the n images on which the "
        "attack fools the undefended classifier. Mean L<sub>2</sub> and L<sub>∞</sub>: the size of the change, "
        "pixels in [0, 1], over all n images; one that the attack gave up on counts as 0."
    )
    return markup.attacks(lines, caption)


def _confusions(rows: Sequence[Row]) -> str:
    parts = []
    names: set[str] = set()
    for index, matrix in enumerate(confusions(rows)):
        total = int(matrix.counts.sum())
        paper = ""
        if matrix.paper_overall is not None:
            paper = f" (the paper: {number(matrix.paper_overall)} of 30000)"
        caption = (
            f"<b>{markup.confusion_title(matrix)}.</b> Images of the {ATTACKS[POOLED_ATTACK]} test sets together: "
            f"predicted label in rows, true label in columns. Blue: right; orange: wrong; deeper: a larger share of its "
            f"column. {number(matrix.overall)} of {total} images are right{paper}. "
            f"n = {matrix.n}, seed {matrix.seed}, threat model: {matrix.threat_model}. Last rows: the share of each true label that is right."
        )
        # One table of the paper can occur twice, with two seeds: the names must differ.
        name = matrix.table if matrix.table not in names else f"{matrix.table}-{index}"
        names.add(matrix.table)
        parts.append(markup.confusion(matrix, caption, name))
    if not parts:
        return ""
    note = (
        "<p>Compare the per-class accuracies with the paper’s, not the counts: the paper counts 30,000 images. The three "
        "sets attack the same images, so their errors are not independent and no interval is given.</p>"
    )
    return note + "".join(parts)


def _other(rows: Sequence[Row]) -> str:
    rest = other_rows(rows)
    return markup.other(rest, "<b>Rows of results.json that belong to no table above.</b>") if rest else ""
