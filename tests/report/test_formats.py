"""A table as CSV, read back by the csv module, as LaTeX, sign by sign, and as Markdown; how numbers
are written.
"""

import csv
import io
import re

import pytest

from madvae_tf.report.formats import latex, to_csv, to_latex, to_markdown
from madvae_tf.report.names import ATTACKS, DEFENSES
from madvae_tf.report.rendering import fragment
from madvae_tf.report.table import Cell, Figure, Table, number


@pytest.fixture
def table():
    """One of everything that a cell may hold."""
    accuracy = Figure(0.9, (0.8, 1.0), n=10, best=True, note="epsilon 0.2")
    agreement = Figure(
        0.7,
        (0.6, 0.82),
        n=10,
        label="agreement",
        paper=0.7097,
        change="+1.0 points",
        note="seed 0 alone",
    )
    seeds = Figure(0.5, n=20, seeds={0: 0.4, 1: 0.6}, deviation=0.1414)
    rows = [
        (Cell("FGSM", ("n = 10",), "steps 3"), Cell(figures=(accuracy, agreement)), Cell.of(7)),
        (Cell("PGD | x"), Cell(figures=(seeds,)), Cell()),
    ]
    return Table(
        "t", "A & b.", "Said <i>so</i>.", (Cell("Attack"), Cell("L∞", ("0.3",)), Cell("n")), rows
    )


def test_csv_has_a_column_for_every_part_of_a_figure(table):
    first, second = csv.DictReader(io.StringIO(to_csv(table)))
    assert first == {
        **{"Attack": "FGSM", "Attack details": "n = 10; steps 3"},
        **{"L∞ (0.3)": "0.9", "L∞ (0.3) low": "0.8", "L∞ (0.3) high": "1", "L∞ (0.3) n": "10"},
        **{"L∞ (0.3) seeds": "", "L∞ (0.3) sd": "", "L∞ (0.3) notes": "epsilon 0.2"},
        **{
            "L∞ (0.3) agreement": "0.7",
            "L∞ (0.3) agreement low": "0.6",
            "L∞ (0.3) agreement high": "0.82",
        },
        **{"L∞ (0.3) agreement n": "10", "L∞ (0.3) agreement paper": "0.7097"},
        **{"L∞ (0.3) agreement change": "+1.0 points", "L∞ (0.3) agreement notes": "seed 0 alone"},
        "n": "7",
    }
    assert second["L∞ (0.3) seeds"] == "0: 0.4 1: 0.6" and second["L∞ (0.3) sd"] == "0.1414"
    assert second["L∞ (0.3) agreement"] == second["n"] == ""


def test_csv_keeps_commas_quotes_and_line_ends_inside_their_cells():
    rows = [(Cell('x <y>, "z"'), Cell("a\nb"))]
    found = list(
        csv.reader(io.StringIO(to_csv(Table("t", "", "", (Cell("a, b"), Cell("c")), rows))))
    )
    assert found == [["a, b", "c"], ['x <y>, "z"', "a\nb"]]


def test_latex_is_compact_a_value_and_half_its_interval(table):
    assert to_latex(table).splitlines() == [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\caption{A \& b. Said \textless{}i\textgreater{}so\textless{}/i\textgreater{}. In this"
        r" form, each "
        r"cell has its first figure and half the width of its 95\% interval.}",
        r"\label{tab:t}",
        r"\begin{tabular}{lll}",
        r"\toprule",
        r"Attack & L\ensuremath{\infty} (0.3) & n \\",
        r"\midrule",
        r"FGSM & \textbf{0.900 {\scriptsize \ensuremath{\pm} 0.100}} {\scriptsize (epsilon 0.2)} "
        r"{\scriptsize (seed 0 alone)} & 7 \\",
        r"PGD \textbar{} x & 0.500 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_latex_tells_rows_of_one_name_apart():
    rows = [
        (Cell("FGSM", ("epsilon 0.2",)), Cell.of(1)),
        (Cell("FGSM", ("epsilon 0.3",)), Cell.of(2)),
    ]
    found = to_latex(Table("t", "", "", (Cell("Attack"), Cell("n")), rows))
    assert r"FGSM (epsilon 0.2) & 1 \\" in found and r"FGSM (epsilon 0.3) & 2 \\" in found


def test_markdown_has_all_that_a_cell_says(table):
    assert to_markdown(table).splitlines() == [
        "**A & b.** Said <i>so</i>.",
        "",
        "| Attack | L∞ (0.3) | n |",
        "| --- | --- | --- |",
        (
            "| FGSM (n = 10) | **0.900** [0.800, 1.000] (epsilon 0.2), "
            "agreement 0.700 [0.600, 0.820] (+1.0 points; paper 0.7097; seed 0 alone) | 7 |"
        ),
        "| PGD \\| x | 0.500 (sd 0.141, 0: 0.400, 1: 0.600) | – |",
    ]


def test_html_escapes_what_it_is_given(table):
    page = fragment(table, ["a < b"])
    assert "<b>A &amp; b.</b> Said &lt;i&gt;so&lt;/i&gt;." in page and "<li>a &lt; b</li>" in page
    assert (
        '<strong class="value">0.900</strong> <span class="interval">[0.800, 1.000]</span>' in page
    )
    assert 'data-sort="0.9"' in page and page.count('class="none"') == 1


@pytest.mark.parametrize(
    ("value", "n", "shown"),
    [
        (0.97345, 1000, "0.973"),
        (0.97345, 1001, "0.9735"),
        (0.97345, None, "0.9735"),
        (-0.25, 10, "−0.250"),
        (0.0, 10, "0.000"),
        # Rounding must not make a zero of what is none.
        (0.00031, 200, "0.0003"),
        (0.00003, None, "3e−05"),
        (2e-18, 10, "0.000"),
        (7, 10, "7"),
        (float("nan"), 10, "–"),
        (None, 10, "–"),
        (True, 10, "–"),
    ],
)
def test_numbers_have_three_decimals_up_to_a_thousand_images(value, n, shown):
    assert number(value, n) == shown


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
    assert latex(text) == expected


def test_every_table_has_its_files_with_all_its_lines(report, parse):
    parsed = parse(report.page)
    named = {name for name in parsed.tables if name != "explorer-probabilities"}
    folder = report.folder / "tables"
    files = {f"{name}.{kind}" for name in named for kind in ("csv", "tex")}
    assert set(parsed.downloads) == files == {path.name for path in folder.iterdir()}
    for name in named:
        found = list(csv.reader(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8"))))
        assert len(found) == len(parsed.tables[name])
        assert len({len(line) for line in found}) == 1 and len(set(found[0])) == len(found[0])
        tex = (folder / f"{name}.tex").read_text(encoding="utf-8")
        assert tex.count("{") == tex.count("}") and "<" not in tex and "&amp;" not in tex
        lines = tex.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()
        assert len(lines) == len(parsed.tables[name]) - 1
        columns = len(parsed.tables[name][0])
        assert all(len(re.findall(r"(?<!\\)&", line)) == columns - 1 for line in lines)


def test_csv_of_table_1_holds_every_row_in_columns_of_its_own(report):
    text = (report.folder / "tables" / "table1.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(io.StringIO(text)))
    lines = {line["Attack"]: line for line in table}
    rows = [row for row in report.rows if row["table"] == "table1"]
    assert len(rows) == 70
    for row in rows:
        line, column = lines[ATTACKS[row["attack"]]], DEFENSES[row["defense"]]
        column += " agreement" if row["metric"] == "agreement" else ""
        found = [float(line[name]) for name in (column, f"{column} low", f"{column} high")]
        assert found == pytest.approx(
            [row[name] for name in ("value", "ci_low", "ci_high")], rel=1e-5
        )
        if row["paper"] is not None:
            assert float(line[f"{column} paper"]) == row["paper"]
