"""A table of the report as one value.

HTML (`rendering`), CSV, LaTeX and Markdown (`formats`) all come from it. All texts are plain; each
format escapes what it must.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from madvae_tf.report.names import Row

DASH = "–"
# Up to this many images a fourth decimal says nothing: one image more or less changes the third.
_FEW = 1000
# What is left of a zero by rounding errors is less.
_NEARLY_ZERO = 1e-9


def number(value: Any, n: int | None = None) -> str:
    """A number as text: three decimals if of at most 1,000 images, else four; an integer as it is.

    A value that would show as zero and is not shows its first digit. None and what is not finite is
    a dash.

    Args:
        value: int, float or None.
        n: how many images it is of; None where that is unknown or no matter.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, float) or not math.isfinite(value):
        return DASH
    text = _rounded(value, n)
    if abs(value) > _NEARLY_ZERO and not float(text.replace("−", "-")):
        text = f"{value:.1g}".replace("-", "−", 1)
    return text


def _rounded(value: float, n: int | None) -> str:
    return f"{value:.{3 if n is not None and n <= _FEW else 4}f}".replace("-", "−")


@dataclass(frozen=True)
class Figure:
    """One measured number of a cell.

    Attributes:
        value, interval: the number and the ends of its 95% interval, None where it has none.
        n: how many images it is of.
        label: what it is, where the column's head does not say it: "agreement".
        unit: behind the number.
        paper: the paper's figure of the same.
        change: its difference to another figure, as text.
        seeds, deviation: each seed's value, and their standard deviation, of a mean of several.
        note: what sets the measurement apart from the rest of its row or column.
        detail: all that the row says of it, for who points at it.
        best: it stands clear of the others of its row.
        show: number -> text; None: `number` with n.
    """

    value: float
    interval: tuple[float, float] | None = None
    n: int | None = None
    label: str = ""
    unit: str = ""
    paper: float | None = None
    change: str = ""
    seeds: Mapping[int, float] = field(default_factory=dict)
    deviation: float | None = None
    note: str = ""
    detail: str = ""
    best: bool = False
    show: Callable[[float], str] | None = None

    @classmethod
    def of(cls, row: Row, **changes: Any) -> "Figure":
        """The figure of a row of results.json, or of `seeds.mean_rows`."""
        given = {
            "value": row["value"],
            "interval": None if row["ci_low"] is None else (row["ci_low"], row["ci_high"]),
            "n": row["n"],
            "paper": row["paper"],
            "seeds": row.get("seeds", {}),
            "deviation": row.get("deviation"),
            "detail": (
                f"{row['value']!r}, n = {row['n']}, {row['threat_model']}, seed {row['seed']}"
            ),
        }
        return cls(**(given | changes))

    def text(self, value: float) -> str:
        """`value` as this figure shows numbers."""
        return self.show(value) if self.show else number(value, self.n)

    @property
    def shown(self) -> str:
        """The number with its unit."""
        return f"{self.text(self.value)} {self.unit}".rstrip()

    @property
    def printed(self) -> str:
        """The paper's figure, with as many decimals as the paper prints; or nothing."""
        return "" if self.paper is None else number(self.paper)

    @property
    def ends(self) -> str:
        """The interval like "[0.965, 0.985]", or nothing."""
        if not self.interval:
            return ""
        show = self.show or (lambda value: _rounded(value, self.n))
        return f"[{', '.join(map(show, self.interval))}]"

    @property
    def each_seed(self) -> list[tuple[str, str]]:
        """The standard deviation ("sd") and each seed's value; nothing for one seed."""
        if self.deviation is None:
            return []
        return [
            ("sd", self.text(self.deviation)),
            *((f"{seed}:", self.text(value)) for seed, value in self.seeds.items()),
        ]


@dataclass(frozen=True)
class Cell:
    """A cell: text or figures, and small print.

    Attributes:
        text: plain; a cell without text and figures shows a dash.
        notes: lines of small print below.
        folded: settings, which the page shows where a reader opens them.
        figures: the numbers, in their order.
        kind: what the style sheet should know of it: "hit", "miss", "missing", "use", "bar".
        share: in [0, 1], how deep a cell of a confusion matrix is shaded, how long a bar is.
        detail: for who points at it.
        order: what the cell is sorted by where it holds no figure but a number as text.
    """

    text: str = ""
    notes: tuple[str, ...] = ()
    folded: str = ""
    figures: tuple[Figure, ...] = ()
    kind: str = ""
    share: float | None = None
    detail: str = ""
    order: float | None = None

    @classmethod
    def of(cls, value: Any) -> "Cell":
        """A cell of a text, or of a number that is no measured figure."""
        return cls(str(value), order=value if isinstance(value, int | float) else None)

    @property
    def key(self) -> float | None:
        """The number that the cell is sorted by; None for text."""
        return self.figures[0].value if self.figures else self.order


@dataclass(frozen=True)
class Table:
    """A captioned table; the first cell of each row is its head.

    Attributes:
        name: its identifier on the page and the stem of its files.
        title, text: the caption.
        columns: the heads.
        rows, foot: cells; rows shorter than the head are filled with dashes.
        kind: "grid" for small figures in many columns, "cards" for rows that a phone shows as
            cards, "confusion" for a matrix, whose order says something.
    """

    name: str
    title: str
    text: str
    columns: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]] = ()
    kind: str = ""

    @property
    def body(self) -> list[Sequence[Cell]]:
        """All rows, those of the foot among them."""
        return [*self.rows, *self.foot]
