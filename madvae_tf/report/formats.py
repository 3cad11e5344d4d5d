"""A `Table` as CSV, as LaTeX (booktabs) and as Markdown.

CSV is for programs: every part of a cell has a column of its own ("Vanilla", "Vanilla low",
"Vanilla agreement", ...), with six digits. LaTeX is compact, for a paper: a value and half its
interval. Markdown is for people: value, interval and all else.
"""

import csv
import io
import textwrap
from collections.abc import Callable, Sequence

from madvae_tf.report.table import DASH, Cell, Figure, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "·": r"\textperiodcentered{}",
    "∞": r"\ensuremath{\infty}",
    "‖": r"\ensuremath{\|}",
    "₁": r"\textsubscript{1}",
    "₂": r"\textsubscript{2}",
    "β": r"\ensuremath{\beta}",
    "ε": r"\ensuremath{\varepsilon}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "×": r"\ensuremath{\times}",
    "↓": r"\ensuremath{\downarrow}",
    "→": r"\ensuremath{\rightarrow}",
    "±": r"\ensuremath{\pm}",
    "°": r"\textdegree{}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "\u00a0": "~",
}
# What a LaTeX table leaves out of the page's.
_COMPACT = "In this form, each cell has its first figure and half the width of its 95% interval."
# Columns of Markdown's prose.
_WIDTH = 100
# What a figure adds to the columns of a CSV: the name behind the column's own, and the figure's
# text.
_PARTS: tuple[tuple[str, Callable[[Figure], str]], ...] = (
    ("", lambda figure: f"{figure.value:.6g}"),
    ("low", lambda figure: f"{figure.interval[0]:.6g}" if figure.interval else ""),
    ("high", lambda figure: f"{figure.interval[1]:.6g}" if figure.interval else ""),
    ("n", lambda figure: "" if figure.n is None else str(figure.n)),
    ("paper", lambda figure: "" if figure.paper is None else f"{figure.paper:.6g}"),
    ("change", lambda figure: figure.change),
    (
        "seeds",
        lambda figure: " ".join(f"{seed}: {value:.6g}" for seed, value in figure.seeds.items()),
    ),
    ("sd", lambda figure: "" if figure.deviation is None else f"{figure.deviation:.6g}"),
    ("notes", lambda figure: figure.note),
)


def to_csv(table: Table) -> str:
    """The table as CSV (RFC 4180); figures of one kind in a cell are joined by semicolons."""
    columns: list[list[str]] = []
    for place, head in enumerate(table.columns):
        name = _name(head)
        cells = [row[place] if place < len(row) else Cell() for row in table.body]
        if any(cell.text for cell in cells) or not any(cell.figures for cell in cells):
            columns.append([name, *(cell.text for cell in cells)])
        for label in dict.fromkeys(figure.label for cell in cells for figure in cell.figures):
            own = [[figure for figure in cell.figures if figure.label == label] for cell in cells]
            for part, text in _PARTS:
                texts = ["; ".join(map(text, figures)) for figures in own]
                if any(text.strip("; ") for text in texts):
                    full = " ".join(filter(None, (name, label, part)))
                    # Words and figures of one column stand apart.
                    full = (
                        f"{full} value"
                        if columns and full in [column[0] for column in columns]
                        else full
                    )
                    columns.append([full, *texts])
        if any(_small(cell) for cell in cells):
            columns.append([f"{name} details", *("; ".join(_small(cell)) for cell in cells)])
    buffer = io.StringIO()
    csv.writer(buffer).writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def to_latex(table: Table) -> str:
    r"""The table as a LaTeX `table`; compiles with `\usepackage{booktabs}` and UTF-8.

    A cell holds its first figure, and those that have no label, each with half its interval; the
    CSV holds all.
    """
    heads = [latex(_name(head)) for head in table.columns]
    body = "".join(f"{' & '.join(line)} \\\\\n" for line in _lines(table, _latex_cell, latex))
    caption = latex(f"{table.title} {table.text} {_COMPACT}".strip())
    return (
        f"% \\usepackage{{booktabs}}\n\\begin{{table}}\n\\centering\n\\small\n\\caption{{{caption}}}\n\\label{{tab:{table.name}}}\n\\begin{{tabular}}{{{'l' * len(heads)}}}\n\\toprule\n{' & '.join(heads)}"  # noqa: E501
        f" \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def to_markdown(table: Table) -> str:
    """The table in Markdown, its caption above."""
    heads = [_markdown(_name(head)) for head in table.columns]
    lines = [heads, ["---"] * len(heads), *_lines(table, _markdown_cell, _markdown, notes=True)]
    rendered = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    caption = textwrap.fill(f"**{table.title}** {table.text}", _WIDTH, break_long_words=False)
    return f"{caption}\n\n{rendered}"


def latex(text: str) -> str:
    """Text with every character that LaTeX reads as a command written so that it is printed."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def _name(head: Cell) -> str:
    """A column's name: its head, what the head says in small print in brackets."""
    return _named(head.text, _small(head))


def _named(text: str, notes: Sequence[str]) -> str:
    details = ", ".join(notes)
    return f"{text} ({details})" if text and details else text or details


def _small(cell: Cell) -> list[str]:
    return [*cell.notes, *([cell.folded] if cell.folded else [])]


def _lines(
    table: Table, cell: Callable[[Cell], str], text: Callable[[str], str], notes: bool = False
) -> list[list[str]]:
    """Each row's head and cells; short rows are filled with dashes."""
    heads = map(text, _heads(table, notes))
    lines = [[head, *map(cell, row[1:])] for head, row in zip(heads, table.body, strict=True)]
    return [line + [text(DASH)] * (len(table.columns) - len(line)) for line in lines]


def _heads(table: Table, notes: bool) -> list[str]:
    """Each row's name: with small print where asked for, and where rows look the same without."""
    cells = [row[0] for row in table.body]
    plain = [cell.text for cell in cells]
    noted = [_named(cell.text, cell.notes) for cell in cells]
    found = ([] if notes else [plain]) + [noted]
    every = [_name(cell) for cell in cells]
    return next((names for names in found if len(set(names)) == len(names)), every)


def _latex_cell(cell: Cell) -> str:
    parts = [latex(cell.text)] if cell.text else []
    for place, figure in enumerate(cell.figures):
        small = [figure.note]
        if not place or not figure.label:
            value = latex(figure.shown)
            if figure.interval:
                half = (figure.interval[1] - figure.interval[0]) / 2
                value += f" {{\\scriptsize \\ensuremath{{\\pm}} {latex(figure.text(half))}}}"
            parts.append(f"\\textbf{{{value}}}" if figure.best else value)
            small.insert(0, figure.label)
        beside = ", ".join(filter(None, small))
        parts += [f"{{\\scriptsize ({latex(beside)})}}"] if beside else []
    return " ".join(parts) or latex(DASH)


def _markdown_cell(cell: Cell) -> str:
    parts = [cell.text] if cell.text else []
    for figure in cell.figures:
        value = f"**{figure.shown}**" if figure.best else figure.shown
        seeds = ", ".join(" ".join(each) for each in figure.each_seed)
        paper = f"paper {figure.printed}" if figure.printed else ""
        beside = "; ".join(filter(None, (seeds, figure.change, paper, figure.note)))
        shown = (figure.label, value, figure.ends, f"({beside})" if beside else "")
        parts.append(" ".join(filter(None, shown)))
    parts += cell.notes
    return _markdown(", ".join(parts)) or DASH


def _markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def files(tables: Sequence[Table]) -> dict[str, str]:
    """The text of every table's files: `<name>.csv` and `<name>.tex`."""
    found = {f"{table.name}.csv": to_csv(table) for table in tables}
    return found | {f"{table.name}.tex": to_latex(table) for table in tables}
