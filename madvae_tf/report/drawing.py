"""What all matplotlib figures share: settings, colours, their form on the page and as files.

A figure stands on the page as inline SVG in the page's own colours, so that it follows light and
dark, and in the folder `figures` as SVG and PDF on white. Figures are drawn without global state,
and the same input gives the same bytes. They are narrow, with large type, so that a phone 360
pixels wide shows readable labels.
"""

import io
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from madvae_tf.report.names import DEFENSES
from madvae_tf.report.parts import Part

WIDTH = 4.8
# The colours stay apart for the colour-blind.
_OWN = {
    "none": ("#55606b", "#aeb8c2", "X"),
    "vanilla": ("#0072b2", "#56b4f0", "o"),
    "cls": ("#b45309", "#f0a04b", "s"),
    "pd": ("#00795c", "#3fc79a", "D"),
    "combined": ("#a8327e", "#e57bc0", "^"),
    "robust": ("#17202b", "#ffffff", "8"),
    "identity": ("#6f4e37", "#c79f83", "v"),
    "defense_vae": ("#c1121f", "#ff7b7b", "P"),
    "defense_vae_e2e": ("#e07a5f", "#f0a08a", "p"),
    "mixture": ("#5e548e", "#a99fe0", "*"),
    "binarization": ("#7f7f00", "#cfcf4a", "<"),
    "blur": ("#008ba3", "#4dd0e1", ">"),
    "adversarial_fgsm": ("#3d5a80", "#8fb3e0", "h"),
    "adversarial_pgd": ("#1b263b", "#b7c4de", "H"),
    "magnet": ("#d81b60", "#ff77a9", "d"),
    "defense_gan": ("#386641", "#84c68f", "1"),
    "mad_gan": ("#9c6644", "#dba77f", "2"),
}
# Of defences without a style of their own, in turn.
_FURTHER = (
    *(("#0b7a75", "#5fd0ca", "3"), ("#8f2d56", "#f08cb5", "4"), ("#6a4c93", "#b79ee0", "+")),
    *(("#55702a", "#a9cf6a", "x"), ("#9a3b26", "#f09a80", "|")),
)
# Defence -> its colour on light, its colour on dark, its marker.
STYLES = {
    name: _OWN.get(name, _FURTHER[place % len(_FURTHER)]) for place, name in enumerate(DEFENSES)
}
# Rules behind the data, and frames.
RULE, FRAME = "#d5dbe1", "#9aa5b0"
# What a colour is on the page.
_THEME = {
    "#000000": "currentColor",
    RULE: "var(--line)",
    FRAME: "var(--soft)",
    **{light: f"var(--line-{name})" for name, (light, _, _) in STYLES.items()},
}
_SETTINGS = {
    "font.family": "DejaVu Sans",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Text stays text: it follows the page's colours and can be searched.
    "svg.fonttype": "none",
    "svg.hashsalt": "madvae_tf",
}
# Without this the files would name the version of matplotlib and the day.
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def settings(size: float = 10) -> Any:
    """matplotlib's defaults and ours, whatever the user's matplotlibrc says; a context manager."""
    values: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS, "font.size": size}
    return matplotlib.rc_context(values)


def picture(name: str, figure: Figure, alt: str, title: str, text: str) -> Part:
    """A figure for the page, and its files.

    Args:
        name: the stem of its files, and of the identifiers in its drawing.
        figure: drawn under `settings`.
        alt: what it shows, for who cannot see it.
        title, text: the caption.
    """
    found = files(name, figure)
    drawing = _inline(found[f"{name}.svg"].decode(), name)
    return Part("picture", {"drawing": drawing, "alt": alt, "title": title, "text": text}, found)


def files(name: str, figure: Figure) -> dict[str, bytes]:
    """The files of a figure: `<name>.svg` and `<name>.pdf`."""
    return {f"{name}.{form}": _saved(figure, form) for form in _METADATA}


def _saved(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format=form, dpi=200, facecolor="white", metadata=_METADATA[form])
    return buffer.getvalue()


def _inline(svg: str, name: str) -> str:
    """matplotlib's SVG as an element of the page: identifiers of its own, the page's colours."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body)
    )
    body = re.sub(r">\s*\n\s*<", "><", body)
    # The first white is the ground.
    body = body.replace("fill: #ffffff", "fill: none", 1)
    # Of what is drawn alike several times, the first has the identifier; groups need none.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: _identifier(found[1], name, used), body)
    body = re.sub(r'(href="|url\()#', rf"\1#{name}-", body)
    # Verdana has the same widths where DejaVu Sans is not installed.
    body = body.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: _THEME.get(found[0], found[0]), body)


def _identifier(identifier: str, name: str, used: set[str]) -> str:
    if identifier not in used:
        return ""
    used.remove(identifier)
    return f' id="{name}-{identifier}"'
