"""Pictures on the page: Figures 7 to 11, training curves, and how a PNG is embedded with its caption."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from madvae_tf.report import figures, strips
from madvae_tf.report.markup import text
from madvae_tf.report.names import ATTACKS, DEFENSES

# The paper's figures; a variant of this project's own has no number.
IMAGE_FIGURES = {"none": 7, "vanilla": 8, "cls": 9, "pd": 10, "combined": 11, "robust": None}


def data_uri(png: bytes) -> str:
    """PNG bytes as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def captioned(files: dict[str, bytes], name: str, png: bytes, alt: str, caption: str) -> str:
    """A picture as `<figure>`, embedded, and in `files` under its name."""
    files[name] = png
    return f'<figure><img src="{data_uri(png)}" alt="{text(alt)}" loading="lazy"><figcaption>{caption}</figcaption></figure>'


def strips_section(images: Mapping[str, np.ndarray], run: Mapping[str, Any], files: dict[str, bytes]) -> str:
    """Figures 7 to 11: strips of images with the predicted labels, for each attack."""
    if "clean" not in images:
        return ""
    label = images.get("label")
    columns = len(images["clean"])
    parts = []
    for defense, figure_number in IMAGE_FIGURES.items():
        rows = []
        for attack, attack_name in ATTACKS.items():
            stem = "adversarial" if defense == "none" else f"purified/{defense}"
            picture = images.get(f"{stem}/{attack}")
            if picture is None and defense == "none" and attack == "none":
                picture = images["clean"]
            if picture is not None:
                rows.append((attack_name, picture, images.get(f"prediction/{defense}/{attack}")))
        if not rows:
            continue
        if defense == "none":
            what = "Adversarial examples: what each attack makes of the same clean images"
            who = "the classifier alone predicts"
        else:
            what = f"Output of the purifier {DEFENSES[defense]} for the images of Figure 7"
            who = "the classifier predicts for the purified image"
        title = "Beside the paper’s figures" if figure_number is None else f"Figure {figure_number}"
        caption = (
            f"<b>{title}.</b> {what}. A strip is an attack, a column is a test image; in the corner what "
            f"{who}, a red frame where that is wrong. n = {columns} images, seed {text(run.get('seed', '–'))}, "
            "threat model: oblivious."
        )
        alt = f"{title}: {columns} images in each of {len(rows)} strips: " + ", ".join(
            f"{name}{_wrong(label, predictions)}" for name, _, predictions in rows
        )
        name = "adversarial" if defense == "none" else defense
        png = strips.image_grid(rows, label, columns)
        stem = "strips" if figure_number is None else f"figure{figure_number:02d}"
        parts.append(captioned(files, f"{stem}_{name}.png", png, alt, caption))
    return f'<div class="gallery">{"".join(parts)}</div>'


def _wrong(label: np.ndarray | None, predictions: np.ndarray | None) -> str:
    if label is None or predictions is None:
        return ""
    return f" ({int(np.sum(np.asarray(predictions) != np.asarray(label)))} wrong)"


def training_section(run: Mapping[str, Any], files: dict[str, bytes]) -> str:
    """The training curves of every variant that was logged."""
    training = run.get("training") or {}
    png = figures.training_curves(training) if training else None
    if png is None:
        return ""
    alt = "Training curves: one panel per loss term, one line per variant: " + ", ".join(map(str, training))
    caption = (
        "<b>Training curves.</b> One panel per loss term, one line per variant that has the term, against the training "
        f"step; points: the same on validation images. Seed {text(run.get('seed', '–'))}."
    )
    shared = ((run.get("config") or {}).get("vae") or {}).get("warmup_epochs")
    if shared:
        caption += (
            f" Before the first step lies a warm-up that all variants share: {text(shared)} epochs with the vanilla loss. "
            "So they differ less than purifiers that were trained apart."
        )
    return captioned(files, "training.png", png, alt, caption)
