"""A table of the page -> CSV and LaTeX (booktabs), as links that hold the file themselves and so need no script.

Both are read off the table's HTML, so a download never says other than the page. In CSV every part of a cell has a column of
its own: "Vanilla", "Vanilla low", "Vanilla high", "Vanilla agreement", ... In LaTeX the parts are lines of the cell.
"""

import base64
import csv
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# Class of a span -> the part of the cell that it holds. Within an agreement the paper's figure is the paper's.
_PARTS = {
    "interval": "interval",
    "agreement": "agreement",
    "paper": "paper",
    "seeds": "seeds",
    "detail": "details",
    "points": "points",
    "none": "none",
}
# The order of the columns that one column of the page becomes; "" is the value itself.
_ORDER = ("", "interval", "agreement", "agreement interval", "paper", "points", "seeds", "details")
# Subscripts keep their place until the format says how it writes them.
_SUB, _END = "\ue000", "\ue001"
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
    "ε": r"\ensuremath{\varepsilon}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "×": r"\ensuremath{\times}",
    "↓": r"\ensuremath{\downarrow}",
    "→": r"\ensuremath{\rightarrow}",
    "±": r"\ensuremath{\pm}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "\u00a0": "~",
    _SUB: r"\textsubscript{",
    _END: "}",
}
Cell = dict[str, list[str]]


@dataclass
class Content:
    """What a table holds: `body` are its rows, those of the foot among them; a cell is part -> texts."""

    head: list[Cell] = field(default_factory=list)
    body: list[list[Cell]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Follows the open tags of one table; every span of a part begins a new text of it."""

    def __init__(self) -> None:
        super().__init__()
        self.content = Content()
        self._open: list[tuple[str, str]] = []
        self._row: list[Cell] = []
        self._where: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag, attrs):
        if tag in ("img", "br"):
            return
        kind = next((_PARTS[word] for word in (dict(attrs).get("class") or "").split() if word in _PARTS), "")
        self._open.append((tag, kind))
        if tag == "tr":
            self._row = []
        if tag in ("td", "th"):
            self._row.append({})
        # Blocks of one part stand below each other.
        if kind or tag in ("td", "th") or "accuracy" in (dict(attrs).get("class") or ""):
            self._where = None
        if tag == "sub":
            self._add(_SUB)

    def handle_endtag(self, tag):
        if tag == "sub":
            self._add(_END)
        closed, kind = self._open.pop() if self._open else ("", "")
        if kind:
            self._where = None
        if closed == "tr":
            if any(name == "thead" for name, _ in self._open):
                self.content.head = self._row
            else:
                self.content.body.append(self._row)

    def handle_data(self, data):
        self._add(data)

    def _add(self, text: str) -> None:
        part = self._part()
        labelled = self._open and self._open[-1][0] == "i" and part != "seeds"
        if not self._row or labelled or part == "none" or not any(t in ("td", "th") for t, _ in self._open):
            return
        cell = self._row[-1]
        if self._where is None or self._where[0] != part:
            if not text.strip():
                return
            texts = cell.setdefault(part, [])
            texts.append("")
            self._where = (part, texts)
        self._where[1][-1] += text

    def _part(self) -> str:
        kinds = [kind for _, kind in self._open if kind]
        if "none" in kinds:
            return "none"
        if "paper" in kinds:
            return "paper"
        return " ".join(kinds) if kinds == ["agreement", "interval"] else (kinds[-1] if kinds else "")


def read(inner: str) -> Content:
    """The content of a table from the HTML between its tags; texts have single spaces."""
    reader = _Reader()
    reader.feed(inner)
    reader.close()
    for row in [reader.content.head, *reader.content.body]:
        for cell in row:
            for part, texts in cell.items():
                cell[part] = [" ".join(text.split()) for text in texts]
    return reader.content


def to_csv(inner: str) -> str:
    """The table as CSV (RFC 4180), a part of a cell a column; an interval is two, low and high.

    Args:
        inner: the HTML between the table's tags.
    """
    content = read(inner)
    columns: list[list[str]] = []
    for place, head in enumerate(content.head):
        name = _plain(_name(head))
        cells = [row[place] if place < len(row) else {} for row in content.body]
        parts = [part for part in _ORDER if any(part in cell for cell in cells)]
        parts += sorted({part for cell in cells for part in cell} - set(_ORDER))
        for part in parts or [""]:
            texts = [_plain("; ".join(cell.get(part, []))) for cell in cells]
            if not part.endswith("interval"):
                columns.append([f"{name} {part}".strip(), *texts])
                continue
            stem = f"{name} {part.removesuffix('interval')}".strip()
            ends = [_ends(text) for text in texts]
            columns.append([f"{stem} low", *(low for low, _ in ends)])
            columns.append([f"{stem} high", *(high for _, high in ends)])
    buffer = io.StringIO()
    csv.writer(buffer).writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def to_latex(name: str, caption: str, inner: str) -> str:
    """The table as a LaTeX `table` with booktabs' rules; compiles with `\\usepackage{booktabs}` and UTF-8.

    Args:
        name: for `\\label`.
        caption, inner: HTML.
    """
    content = read(inner)
    said = read(f"<tr><td>{caption}</td></tr>").body[0][0]
    rows = [_latex_row(row, len(content.head)) for row in content.body]
    several = any(len(lines) > 1 for lines in rows)
    between = "\\addlinespace\n" if several else ""
    body = between.join("".join(f"{line} \\\\\n" for line in lines) for lines in rows)
    head = " & ".join(latex(_name(cell)) for cell in content.head)
    return (
        "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{latex(' '.join(text for texts in said.values() for text in texts))}}}\n"
        f"\\label{{tab:{name}}}\n\\begin{{tabular}}{{{'l' * len(content.head)}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _latex_row(row: list[Cell], columns: int) -> list[str]:
    """The lines of a row: values with intervals, agreements with the paper's figures, the rest in small print."""
    cells = []
    for cell in row:
        lines = _together(cell, "", "interval")
        lines += [f"{{\\scriptsize {text}}}" for text in _agreements(cell)]
        for part in ("points", "seeds", "details"):
            lines += [f"{{\\scriptsize {latex(text)}}}" for text in cell.get(part, [])]
        cells.append(lines or ["--"])
    cells += [["--"]] * (columns - len(cells))
    height = max(len(lines) for lines in cells)
    return [" & ".join(lines[n] if n < len(lines) else "" for lines in cells) for n in range(height)]


def _together(cell: Cell, value: str, interval: str) -> list[str]:
    values, ends = cell.get(value, []), cell.get(interval, [])
    lines = []
    for place, text in enumerate(values):
        beside = f" {{\\scriptsize {latex(ends[place])}}}" if place < len(ends) else ""
        lines.append(latex(text) + beside)
    return lines


def _agreements(cell: Cell) -> list[str]:
    lines = [f"agreement {text}" for text in _together(cell, "agreement", "agreement interval")]
    for place, text in enumerate(cell.get("paper", [])):
        if place < len(lines):
            lines[place] += f" (paper {latex(text)})"
        else:
            lines.append(f"paper {latex(text)}")
    return lines


def latex(text: str) -> str:
    """Text with every character that LaTeX reads as a command written so that it is printed."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def links(name: str, caption: str, inner: str) -> str:
    """Two links that download the table: `<name>.csv` and `<name>.tex`. All arguments are HTML."""
    files = {
        "CSV": (f"{name}.csv", "text/csv", to_csv(inner)),
        "LaTeX": (f"{name}.tex", "application/x-tex", to_latex(name, caption, inner)),
    }
    items = [
        f'<a download="{file}" href="data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}" '
        f'aria-label="Download this table as {title}" aria-describedby="{name}-caption">{title}</a>'
        for title, (file, kind, text) in files.items()
    ]
    return f'<p class="downloads">{" ".join(items)}</p>'


def _name(cell: Cell) -> str:
    """A column's name: its head, what the head says in small print in brackets."""
    main = " ".join(cell.get("", []))
    details = ", ".join(cell.get("details", []))
    return f"{main} ({details})" if main and details else main or details


def _plain(text: str) -> str:
    return text.replace(_SUB, "").replace(_END, "")


def _ends(text: str) -> tuple[str, str]:
    """Both ends of "[0.1, 0.2]"; of several, each end's own list."""
    pairs = re.findall(r"\[([^,\]]+), ([^\]]+)\]", text)
    return "; ".join(low for low, _ in pairs), "; ".join(high for _, high in pairs)
