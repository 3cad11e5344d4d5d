"""Downloads of tables, read back: CSV by the csv module, LaTeX sign by sign."""

import base64
import csv
import io
import re

import pytest

from madvae_tf.report import downloads, markup
from madvae_tf.report.names import ATTACKS, DEFENSES


def file(parsed, name):
    head, _, body = parsed.downloads[name].partition(",")
    assert head in (
        "data:text/csv;charset=utf-8;base64",
        "data:application/x-tex;charset=utf-8;base64",
    )
    return base64.b64decode(body).decode()


def test_every_table_downloads_as_csv_and_latex_with_all_its_lines(report, parse):
    parsed = parse(report.page)
    named = {name for name in parsed.tables if name != "explorer-probabilities"}
    assert set(parsed.downloads) == {f"{name}.{kind}" for name in named for kind in ("csv", "tex")}
    for name in named:
        table = list(csv.reader(io.StringIO(file(parsed, f"{name}.csv"))))
        assert len(table) == len(parsed.tables[name])
        assert len({len(line) for line in table}) == 1 and len(set(table[0])) == len(table[0])
        latex = file(parsed, f"{name}.tex")
        assert latex.count("{") == latex.count("}") and "<" not in latex and "&amp;" not in latex
        body = latex.split("\\midrule")[1].split("\\bottomrule")[0]
        columns = len(parsed.tables[name][0])
        lines = [line for line in body.strip().splitlines() if line != "\\addlinespace"]
        assert all(len(re.findall(r"(?<!\\)&", line)) == columns - 1 for line in lines)
        assert all(line.endswith("\\\\") for line in lines)


def test_csv_of_table_1_holds_every_row_in_columns_of_its_own(report, parse):
    table = list(csv.DictReader(io.StringIO(file(parse(report.page), "table1.csv"))))
    lines = {line["Attack"]: line for line in table}
    rows = [row for row in report.rows if row["table"] == "table1"]
    assert len(rows) == 70
    for row in rows:
        line, column = lines[ATTACKS[row["attack"]]], DEFENSES[row["defense"]]
        column += " agreement" if row["metric"] == "agreement" else ""
        found = [line[name] for name in (column, f"{column} low", f"{column} high")]
        assert found == [f"{row[name]:.4f}" for name in ("value", "ci_low", "ci_high")]
        if row["paper"] is not None:
            assert line[f"{DEFENSES[row['defense']]} paper"] == f"{row['paper']:.4f}"


def test_csv_keeps_commas_quotes_and_line_ends_inside_their_cells():
    inner = (
        "<thead><tr><th>a, b</th><th>L<sub>∞</sub></th></tr></thead><tbody>"
        '<tr><th>x &lt;y&gt;, &quot;z&quot;</th><td>0.5 <span class="interval">[0.4, 0.6]</span></td></tr>'
        f"<tr><th>w</th><td>{markup.DASH}</td></tr></tbody>"
    )
    assert list(csv.reader(io.StringIO(downloads.to_csv(inner)))) == [
        ["a, b", "L∞", "L∞ low", "L∞ high"],
        ['x <y>, "z"', "0.5", "0.4", "0.6"],
        ["w", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% of $x_1 & #2", r"50\% of \$x\_1 \& \#2"),
        (r"a\b{c}", r"a\textbackslash{}b\{c\}"),
        ("~^<>", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"),
        # A line that begins with a bracket would be read as an argument of the line end before it.
        ("[0.1, 0.2]", "{[}0.1, 0.2{]}"),
        ("ε ≥ 0.3 – L∞", r"\ensuremath{\varepsilon} \ensuremath{\geq} 0.3 -- L\ensuremath{\infty}"),
    ],
)
def test_latex_prints_what_it_would_read_as_a_command(text, expected):
    assert downloads.latex(text) == expected


def test_latex_puts_interval_and_agreement_with_their_figure():
    inner = (
        "<thead><tr><th>Attack</th><th>Vanilla</th></tr></thead><tbody><tr><th>FGSM"
        '<span class="detail">n = 10</span></th><td><span class="accuracy"><span class="value">0.9</span> '
        '<span class="interval">[0.8, 1.0]</span></span><span class="agreement"><i>agreement</i> <span class="value">0.7'
        '</span> <span class="interval">[0.6, 0.8]</span> <span class="paper"><i>paper</i> <span>0.5</span></span></span>'
        "</td></tr></tbody>"
    )
    assert downloads.to_latex("t", "<b>A</b> &amp; b.", inner).splitlines() == [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\caption{A \& b.}",
        r"\label{tab:t}",
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"Attack & Vanilla \\",
        r"\midrule",
        r"FGSM & 0.9 {\scriptsize {[}0.8, 1.0{]}} \\",
        r"{\scriptsize n = 10} & {\scriptsize agreement 0.7 {\scriptsize {[}0.6, 0.8{]}} (paper 0.5)} \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
