"""Arrays -> PNG bytes: the chart of Table 1 and training curves; what all figures have in common.

Drawn narrow and with large type, so that a phone 360 pixels wide shows readable labels. Figures are drawn on the
Agg canvas itself, under matplotlib's default settings: no global state, and the same input gives the same bytes.
"""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from madvae_tf.report.names import ATTACKS, DEFENSES, VARIANTS
from madvae_tf.report.tables import Line, defenses_of

WIDTH = 4.8
# Colours that stay apart for the colour-blind, and a marker each, so that colour is not alone.
STYLES = {
    "none": ("#55606b", "X"),
    "vanilla": ("#0072b2", "o"),
    "cls": ("#b45309", "s"),
    "pd": ("#00795c", "D"),
    "combined": ("#a8327e", "^"),
    "robust": ("#000000", "8"),
    "identity": ("#6f4e37", "v"),
    "defense_vae": ("#c1121f", "P"),
    "defense_vae_e2e": ("#e07a5f", "p"),
    "mixture": ("#5e548e", "*"),
    "binarization": ("#7f7f00", "<"),
    "blur": ("#008ba3", ">"),
    "adversarial_fgsm": ("#3d5a80", "h"),
    "adversarial_pgd": ("#1b263b", "H"),
    "magnet": ("#d81b60", "d"),
    "defense_gan": ("#386641", "1"),
    "mad_gan": ("#9c6644", "2"),
}
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
_SETTINGS = {
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Without this the file would name the version of matplotlib.
METADATA: Any = {"Software": None}


def settings(size: float = 10) -> Any:
    """matplotlib's defaults and ours, whatever the user's matplotlibrc says; a context manager."""
    values: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS, "font.size": size}
    return matplotlib.rc_context(values)


def table1_chart(lines: Sequence[Line]) -> bytes:
    """Accuracy with its 95% interval, an attack a row: all defences on [0, 1], and the purifiers close up."""
    with settings():
        figure = Figure(figsize=(WIDTH, 1.35 + 0.66 * len(lines)), layout="constrained")
        whole, close = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1, 1.7)})
        names = defenses_of(lines)
        purifiers = [name for name in names if name != "none"] or names
        for name in names:
            _accuracies(whole, lines, name, names)
        for name in purifiers:
            _accuracies(close, lines, name, purifiers)
        close.set_xlim(*_close_up(lines, purifiers))
        whole.set_xlim(-0.06, 1.06)
        whole.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        close.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10], prune="lower"))
        titles = [
            ATTACKS[line.attack].replace(" (clean)", "\n(clean)").replace(" Pixel", "\nPixel")
            for line in lines
        ]
        whole.set_yticks(range(len(lines)), titles)
        whole.set_ylim(len(lines) - 0.5, -0.5)
        whole.set_title("full scale", fontsize=10)
        close.set_title("purifiers, close up", fontsize=10)
        figure.supxlabel("accuracy against the label", fontsize=10)
        for axes in (whole, close):
            axes.grid(axis="x", color="#d5dbe1", linewidth=0.7)
            axes.set_axisbelow(True)
            for edge in range(1, len(lines)):
                axes.axhline(edge - 0.5, color="#d5dbe1", linewidth=0.7)
            axes.tick_params(left=False)
        handles, labels = whole.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
        return png(figure)


def _accuracies(axes: Any, lines: Sequence[Line], name: str, group: Sequence[str]) -> None:
    color, marker = STYLES[name]
    offset = (group.index(name) - (len(group) - 1) / 2) * 0.72 / max(len(group), 2)
    rows = [(index, line.cells[name].accuracy) for index, line in enumerate(lines) if name in line.cells]
    measured = [(index, row) for index, row in rows if row is not None]
    values = [row["value"] for _, row in measured]
    error = [
        [0.0 if row["ci_low"] is None else max(0.0, row["value"] - row["ci_low"]) for _, row in measured],
        [0.0 if row["ci_high"] is None else max(0.0, row["ci_high"] - row["value"]) for _, row in measured],
    ]
    heights = [index + offset for index, _ in measured]
    axes.errorbar(
        values,
        heights,
        xerr=error,
        fmt=marker,
        color=color,
        markersize=5,
        elinewidth=1.5,
        label=DEFENSES[name],
    )


def _close_up(lines: Sequence[Line], names: Sequence[str]) -> tuple[float, float]:
    rows = [line.cells[name].accuracy for line in lines for name in names if name in line.cells]
    ends = [row["value" if row["ci_low"] is None else "ci_low"] for row in rows if row is not None]
    low = min(ends, default=0.0)
    margin = max(0.002, 0.05 * (1 - low))
    return max(-0.02, low - margin), 1 + margin


def training_curves(training: Mapping[str, Mapping[str, Sequence[Any]]]) -> bytes | None:
    """One panel per loss term, one line per variant, and points for what is measured on validation images; None where nothing was logged."""
    logged = {
        t.removeprefix(_VALIDATION) for curves in training.values() for t in curves if any(_known(curves[t]))
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
            found.values(), found.keys(), loc="outside upper center", ncols=2, frameon=False, fontsize=9.5
        )
        points = any(name.startswith(_VALIDATION) for curves in training.values() for name in curves)
        figure.supxlabel(
            "training step; points: on validation images" if points else "training step", fontsize=9.5
        )
        return png(figure)


def _known(values: Sequence[Any] | None) -> list[bool]:
    """Which of the values were logged: a term has a row of its own steps only."""
    return [value is not None and math.isfinite(value) for value in values or ()]


def _panel(axes: Any, training: Mapping[str, Mapping[str, Sequence[Any]]], term: str) -> None:
    drawn: list[float] = []
    for name in [*(n for n in DEFENSES if n in training), *sorted(set(training) - set(DEFENSES))]:
        color, marker = STYLES.get(name, ("#000000", "o"))
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
                label = {} if logged.startswith(_VALIDATION) else {"label": DEFENSES.get(name, name)}
                axes.plot([steps[n] for n in places], values, color=color, **style, **label)
                drawn += values
    title = TERM_TITLES.get(term, term.replace("_", " ").replace("$", ""))
    axes.set_title(textwrap.fill(title, _TITLE_WIDTH), fontsize=9.5)
    axes.grid(color="#e1e6eb", linewidth=0.6)
    if drawn and min(drawn) > 0 and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))


def png(figure: Figure) -> bytes:
    """A figure as a PNG at 200 dots an inch."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=200, facecolor="white", metadata=METADATA)
    return buffer.getvalue()
