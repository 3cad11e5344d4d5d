"""The training curves of every variant that was logged."""

from collections.abc import Mapping
from typing import Any

from madvae_tf.report import charts, drawing
from madvae_tf.report.parts import Part


def section(run: Mapping[str, Any]) -> list[Part]:
    """The picture; nothing where nothing was logged."""
    training = run.get("training") or {}
    figure = charts.training_curves(training) if training else None
    if figure is None:
        return []
    alt = "Training curves: one panel per loss term, one line per variant: " + ", ".join(
        map(str, training)
    )
    text = (
        "One panel per loss term, one line per variant that has the term, against the training "
        f"step; points: the same on validation images. Seed {run.get('seed', '–')}."
    )
    shared = ((run.get("config") or {}).get("vae") or {}).get("warmup_epochs")
    if shared:
        text += (
            f" Before the first step lies a warm-up that all variants share: {shared} epochs with "
            "the vanilla loss. So they differ less than purifiers that were trained apart."
        )
    return [drawing.picture("training", figure, alt, "Training curves.", text)]
