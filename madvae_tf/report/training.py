"""The training curves of every variant that was logged."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.ticker
from matplotlib.figure import Figure

from madvae_tf.report.drawing import RULE, STYLES, WIDTH, picture, settings
from madvae_tf.report.names import DEFENSES, VARIANTS
from madvae_tf.report.parts import Part

TERM_TITLES = {
    "loss": "total loss",
    "reconstruction": "reconstruction $L_r$",
    "kl": "KL divergence $L_{kl}$",
    "classification": "classification $L_c$",
    "proximity": "proximity $L_p$",
    "distance": "distance $L_d$",
    "learning_rate": "learning rate",
    "attacked_accuracy": "accuracy under the step’s attack",
    "class_kl": "KL divergence to the class’s Gaussian",
    "accuracy": "accuracy on purified images",
    "distance_l2": "L2 distance of purified from clean images",
    "attacked_classification": "classification $L_c$ under the attack",
    "attacked_distance_l2": "L2 distance of purified attacked from clean images",
}
# What is logged at the end of an epoch, of the term that follows.
_VALIDATION = "val_"
# Letters of a panel's title in a line: half the figure's width.
_TITLE_WIDTH = 27


def section(run: Mapping[str, Any]) -> list[Part]:
    """The picture; nothing where nothing was logged."""
    training = run.get("training") or {}
    figure = training_curves(training) if training else None
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
    return [picture("training", figure, alt, "Training curves.", text)]


def training_curves(training: Mapping[str, Mapping[str, Sequence[Any]]]) -> Figure | None:
    """One panel per loss term, one line per variant, points for validation; None without a log."""
    logged = {
        t.removeprefix(_VALIDATION)
        for curves in training.values()
        for t in curves
        if any(_known(curves[t]))
    }
    terms = [term for term in TERM_TITLES if term in logged]
    terms += sorted(logged - {*TERM_TITLES, "step"})
    if not terms:
        return None
    rows = math.ceil(len(terms) / 2)
    with settings(size=9):
        figure = Figure(figsize=(WIDTH, 0.9 + 1.65 * rows), layout="constrained")
        panels = figure.subplots(rows, 2, squeeze=False).ravel()
        for axes, term in zip(panels, terms, strict=False):
            _panel(axes, training, term)
        for axes in panels[len(terms) :]:
            axes.set_visible(False)
        found: dict[str, Any] = {}
        for axes in panels:
            for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(name, handle)
        figure.legend(
            found.values(),
            found.keys(),
            loc="outside upper center",
            ncols=2,
            frameon=False,
            fontsize=9.5,
        )
        points = any(
            name.startswith(_VALIDATION) for curves in training.values() for name in curves
        )
        figure.supxlabel(
            "training step; points: on validation images" if points else "training step",
            fontsize=9.5,
        )
        return figure


def _known(values: Sequence[Any] | None) -> list[bool]:
    """Which of the values were logged: a term has a row of its own steps only."""
    return [value is not None and math.isfinite(value) for value in values or ()]


def _panel(axes: Any, training: Mapping[str, Mapping[str, Sequence[Any]]], term: str) -> None:
    drawn: list[float] = []
    for name in [*(n for n in DEFENSES if n in training), *sorted(set(training) - set(DEFENSES))]:
        color, _, marker = STYLES.get(name, ("#000000", "", "o"))
        # The paper's variants are solid, what stands beside them is dashed.
        dashes = "-" if name in VARIANTS else "--"
        for logged, style in (
            (term, {"linestyle": dashes, "linewidth": 1.3}),
            (_VALIDATION + term, {"linestyle": "", "marker": marker, "markersize": 4.5}),
        ):
            curve = training[name].get(logged) or []
            steps = list(training[name].get("step") or range(len(curve)))
            # Of a row that lacks the term a line would have a gap, and single points would be none.
            places = [n for n, known in enumerate(_known(curve[: len(steps)])) if known]
            values = [float(curve[n]) for n in places]
            if values:
                label = (
                    {} if logged.startswith(_VALIDATION) else {"label": DEFENSES.get(name, name)}
                )
                axes.plot([steps[n] for n in places], values, color=color, **style, **label)
                drawn += values
    title = TERM_TITLES.get(term, term.replace("_", " ").replace("$", ""))
    axes.set_title(textwrap.fill(title, _TITLE_WIDTH), fontsize=9.5)
    axes.grid(color=RULE, linewidth=0.6)
    if drawn and min(drawn) > 0 and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))
