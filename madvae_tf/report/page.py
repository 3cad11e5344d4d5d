"""The report's sections in reading order; a section's module is named after what it shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from madvae_tf.report import (
    attacks,
    baselines,
    black_box,
    clusters,
    confusion,
    explorer,
    opening,
    reference,
    rendering,
    robustness,
    run_facts,
    strips,
    summary,
    table1,
    timing,
    training,
    tuning,
)
from madvae_tf.report.names import (
    ATTACKS,
    BLACK_BOX_TABLES,
    CONFUSION_TABLES,
    DEFENSES,
    Row,
    parameters_text,
)
from madvae_tf.report.parts import Part, Section, paragraph
from madvae_tf.report.table import Cell, Figure, Table

# The tables with a section of their own.
_SHOWN = {"table1", "table4", "attacks", "baselines", "clusters", "reference", "robustness", "time"}
_SHOWN |= {"natural", "detection", *CONFUSION_TABLES, *BLACK_BOX_TABLES}


def sections(
    run: dict[str, Any],
    rows: list[Row],
    images: Mapping[str, np.ndarray],
    embeddings: Mapping[str, np.ndarray],
) -> list[Section]:
    """The sections that have something to show; see `write_report` for the arguments."""
    warnings = run.get("warnings") or []
    none = paragraph("None: no check of this run found anything to warn of.")
    found = [
        Section(
            "result", "Which purifier, against whom, how good", opening.section(rows, warnings)
        ),
        Section("run", "This run", run_facts.section(run, table1.table1_lines(rows))),
        Section("pipeline", "How a purifier is trained", [_pipeline(images)]),
        Section(
            "results", "Table 1: six attacks, with and without a purifier", table1.section(rows)
        ),
        Section("attack-settings", "The attacks", attacks.section(rows, run)),
        Section("black-box", "Table 3: black-box attacks", black_box.section(rows)),
        Section("baselines", "Table 4 and baselines", baselines.section(rows, run)),
        Section(
            "robustness",
            "Attackers who know of the defence",
            robustness.section(rows, warnings, run),
        ),
        Section("reference", "Why the paper’s figures are lower", reference.section(rows)),
        Section(
            "confusion",
            "Tables 2, 8, 9 and 10: which classes are confused",
            confusion.section(rows, run),
        ),
        Section(
            "explorer", "Gallery: one digit, one attack, one variant", explorer.section(images, run)
        ),
        Section(
            "images",
            "Figures 7 to 11: what the purifiers see and draw",
            strips.section(images, run),
        ),
        Section(
            *("clusters", "Figures 2 to 5 and 12 to 17: clustering"),
            clusters.section(rows, embeddings, run),
        ),
        Section("training", "Training", training.section(run)),
        Section("tuning", "Tuning", tuning.section(run)),
        Section("other-rows", "Other measurements", _other(rows)),
        Section("image-time", "Time per image", timing.section(rows, run)),
        Section("time", "Time and memory", run_facts.stages(run)),
        Section("warnings", "Warnings", [summary.warning_list(warnings) if warnings else none]),
        Section("reproduce", "How to reproduce this page", run_facts.reproduce(run)),
    ]
    return [section for section in found if section.parts]


def _pipeline(images: Mapping[str, np.ndarray]) -> Part:
    drawing = rendering.pipeline(_thumbnails(images))
    return Part("pipeline", {"drawing": drawing}, {"pipeline.svg": drawing.encode()})


def _thumbnails(images: Mapping[str, np.ndarray]) -> dict[str, str]:
    """One digit on its way: of the first attack and purifier that have all three pictures."""
    for attack in ATTACKS:
        for defense in ("combined", "pd", "cls", "vanilla"):
            keys = ("clean", f"adversarial/{attack}", f"purified/{defense}/{attack}")
            if attack != "none" and all(key in images and len(images[key]) for key in keys):
                # The digit in the middle: an arbitrary but fixed choice.
                middle = len(images["clean"]) // 2
                return {
                    key.partition("/")[0]: rendering.data_uri(
                        explorer.png(images[key][middle]), "image/png"
                    )
                    for key in keys
                }
    return {}


def _other(rows: list[Row]) -> list[Table]:
    """The rows that no table of the page's own shows, as they are."""
    body = []
    for row in (row for row in rows if row["table"] not in _SHOWN):
        settings = tuple(filter(None, [parameters_text(row["parameters"])]))
        body.append(
            (
                Cell(row["table"]),
                Cell(ATTACKS[row["attack"]], settings),
                *map(Cell, (row["threat_model"], DEFENSES[row["defense"]], row["metric"])),
                Cell(figures=(Figure.of(row),)),
                Cell.of(row["n"]),
                Cell.of(row["seed"]),
            )
        )
    heads = ("Table", "Attack", "Threat model", "Defence", "Metric", "Value", "n", "Seed")
    title = "Rows of results.json that belong to no table above."
    return [Table("other", title, "", [*map(Cell, heads)], body)] if body else []
