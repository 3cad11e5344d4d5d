"""Figures 2 to 5 and 12 to 17: how images and latent codes cluster, by true and predicted label.

UMAP (McInnes et al. 2018) lays the points out in the plane. How well the labels cluster is measured
too: by the silhouette (Rousseeuw 1987) and by the share of each point's nearest neighbours that
have its label.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from madvae_tf.report import charts, drawing, summary
from madvae_tf.report.grids import Line, cell, grid
from madvae_tf.report.names import (
    ATTACKS,
    CLUSTER_PARAMETERS,
    DEFENSES,
    POOLED_ATTACK,
    Row,
    attack_title,
    class_names,
)
from madvae_tf.report.parts import Part, gallery
from madvae_tf.report.seeds import mean_rows, seeds_of
from madvae_tf.report.table import Cell, Table
from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.labels import MOST_CLASSES, PAPER_CLASSES, class_count

# "<what>/<defense>" -> the paper's figure, in the paper's order.
FIGURES = {
    "test/none": 2,
    "adversarial/none": 3,
    "output/pd": 4,
    "latent/pd": 5,
    "output/vanilla": 12,
    "latent/vanilla": 13,
    "output/cls": 14,
    "latent/cls": 15,
    "output/combined": 16,
    "latent/combined": 17,
}
_TITLES = {
    "test": "Clean test images",
    "adversarial": "Adversarial images",
    "output": "Purified images",
    "latent": "Latent codes",
}
_SPACES = {"features": "as they are", "umap": "in the UMAP plane"}
_MEASURES = {"silhouette": "Silhouette", "knn_purity": "Purity"}
_LABELS = {"label": "true label", "predicted": "predicted label"}
_FIELDS = ("xy", "label", "predicted")


def _figures() -> dict[str, int]:
    """`FIGURES`, and 0 for the purifiers that the paper has none of."""
    further = [
        f"{what}/{name}" for name in DEFENSES if name != "none" for what in ("output", "latent")
    ]
    return FIGURES | {stem: 0 for stem in further if stem not in FIGURES}


def check_embeddings(embeddings: Mapping[str, np.ndarray]) -> None:
    """Checks what `write_report` is given as clusters.

    Raises:
        UserError: an unknown key, an array of another shape or kind, points without labels, or
            lengths that differ.
    """
    for key, array in embeddings.items():
        stem, _, name = key.rpartition("/")
        try:
            lookup(_figures(), stem, "embedding")
            lookup(dict.fromkeys(_FIELDS), name, "array")
        except UserError as error:
            raise UserError(f"Invalid cluster key {key!r}: {error}") from None
        values = np.asarray(array)
        if name == "xy":
            right = values.ndim == 2 and values.shape[1] == 2 and values.dtype.kind in "fiu"
            if not right or not np.isfinite(values).all():
                raise _error(key, values, "finite numbers (n, 2)")
        elif values.ndim != 1 or values.dtype.kind not in "iu" or not _are_labels(values):
            raise _error(key, values, f"integers (n,) in 0..{MOST_CLASSES - 1}")
    for stem in {key.rpartition("/")[0] for key in embeddings}:
        sizes = {
            name: len(embeddings[f"{stem}/{name}"])
            for name in _FIELDS
            if f"{stem}/{name}" in embeddings
        }
        if not {"xy", "label"} <= set(sizes) or len(set(sizes.values())) != 1:
            raise UserError(
                f"Invalid clusters {stem!r}: received {sizes}, expected xy and label, of one "
                "length with predicted."
            )


def section(
    rows: Sequence[Row], embeddings: Mapping[str, np.ndarray], run: Mapping[str, Any]
) -> list[Part | Table]:
    """The figures whose embedding is there, and the table of measures; nothing without either."""
    shown = [stem for stem in _figures() if f"{stem}/xy" in embeddings]
    return [*gallery([_picture(stem, embeddings, rows, run) for stem in shown]), *measures(rows)]


def _picture(
    stem: str, embeddings: Mapping[str, np.ndarray], rows: Sequence[Row], run: Mapping[str, Any]
) -> Part:
    what, _, defense = stem.partition("/")
    points, label = np.asarray(embeddings[f"{stem}/xy"]), np.asarray(embeddings[f"{stem}/label"])
    predicted = embeddings.get(f"{stem}/predicted")
    title = {
        "test": "Clean test images",
        "adversarial": f"Adversarial images ({attack_title(POOLED_ATTACK)})",
        "output": f"Output of the purifier {DEFENSES[defense]} for adversarial images",
        "latent": (
            f"Latent codes (means) of the purifier {DEFENSES[defense]} for adversarial images"
        ),
    }[what]
    of = "purified image" if what in ("output", "latent") else "image itself"
    models = [
        row["threat_model"]
        for row in rows
        if row["table"] == "clusters" and f"{row['parameters']['of']}/{row['defense']}" == stem
    ]
    model = "" if what == "test" else f", threat model: {models[0] if models else 'oblivious'}"
    guess = "" if predicted is None else f", right what the classifier predicts for the {of}"
    side = "Coloured by true label" if predicted is None else "Left the true label"
    number_of = FIGURES.get(stem)
    given = [label] if predicted is None else [label, np.asarray(predicted)]
    known = len(run.get("classes") or ()) or PAPER_CLASSES
    classes = max(known, *map(class_count, given))
    names = class_names(run, classes)
    text = (
        f"{title}, laid out by UMAP. {side}{guess}. n = {len(points)}, seed"
        f" {run.get('seed', '–')}{model}."
    )
    alt = (
        f"{f'Figure {number_of}' if number_of else title}: scatter plot of {len(points)} points, "
        f"{'ten' if classes == 10 else classes} colours for the classes 0 to {classes - 1}"
    )
    figure = charts.scatter_panels(
        points, label, None if predicted is None else np.asarray(predicted), names
    )
    name = f"figure{number_of:02d}_{what}" if number_of else f"clusters_{what}"
    name += "" if defense == "none" else f"_{defense}"
    return drawing.picture(name, figure, alt, f"Figure {number_of}." if number_of else "", text)


def measures(rows: Sequence[Row]) -> list[Table]:
    """Silhouette and neighbour purity of every picture, one table, or none."""
    found = mean_rows([row for row in rows if row["table"] == "clusters"])
    if not found:
        return []
    places = [
        (space, metric, labels) for space in _SPACES for metric in _MEASURES for labels in _LABELS
    ]
    columns = {
        place: Cell(_MEASURES[place[1]], (f"{_LABELS[place[2]]}, {_SPACES[place[0]]}",))
        for place in places
        if any(_column(row) == place for row in found)
    }
    attacks = list(dict.fromkeys(row["attack"] for row in found if row["attack"] != "none"))
    lines = []
    for of in CLUSTER_PARAMETERS["of"]:
        for defense in DEFENSES:
            for attack in ATTACKS:
                place = (of, defense, attack)
                own = [
                    row
                    for row in found
                    if (row["parameters"]["of"], row["defense"], row["attack"]) == place
                ]
                title = _TITLES[of] + ("" if defense == "none" else f", {DEFENSES[defense]}")
                notes = (attack_title(attack),) if attack in attacks and len(attacks) > 1 else ()
                lines += [Line(title, own, notes)] if own else []
    neighbors = sorted({row["parameters"]["k"] for row in found if "k" in row["parameters"]})
    purity = f" {', '.join(map(str, neighbors))}" if neighbors else ""
    models = ", ".join(
        dict.fromkeys(row["threat_model"] for row in found if row["attack"] != "none")
    )
    attacked = (
        f"; attacks: {', '.join(map(attack_title, attacks))}; threat model: {models}"
        if attacks
        else ""
    )
    text = (
        "Silhouette, in [−1, 1]: how much nearer a point lies to its own label’s points than to "
        f"those of the nearest other label. Purity, in [0, 1]: the share of a point’s{purity} "
        "nearest neighbours that have its label. “As they are”: pixels, or the latent code "
        "itself; distances in the UMAP plane are those of a drawing."
        f"{summary.several_seeds(found)} "
        f"n = {summary.span(row['n'] for row in found)}, "
        f"{summary.seed_list(seeds_of(found))}{attacked}."
    )
    metrics = dict.fromkeys(_MEASURES, "")
    return [
        grid(
            *("clusters", "How well the labels cluster.", text),
            columns,
            lines,
            _column,
            lambda rows, sample, _: cell(rows, sample, metrics),
            "Points",
        )
    ]


def _column(row: Row) -> tuple[str, str, str]:
    return row["parameters"]["space"], row["metric"], row["parameters"]["labels"]


def _are_labels(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values < MOST_CLASSES)).all())


def _error(key: str, values: np.ndarray, expected: str) -> UserError:
    return UserError(
        f"Invalid clusters {key!r}: received {values.dtype} of shape {values.shape}, expected"
        f" {expected}."
    )
