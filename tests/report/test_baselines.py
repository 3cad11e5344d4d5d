"""Table 4 and the baselines: every figure in its cell, Table 1's rows repeated, notes, n and threat
model.
"""

import pytest

from madvae_tf.report import paper_value, rendering
from madvae_tf.report.baselines import section
from madvae_tf.report.parts import Section

PGD = {"attack": "pgd", "parameters": {"epsilon": 0.3, "steps": 40}}
CLEAN = {"attack": "none", "parameters": {}}


@pytest.fixture
def rows(rate):
    def agreement(hits, attack):
        figure = paper_value("table4", attack["attack"], "defense_vae", "agreement")
        return rate(
            hits, table="table4", defense="defense_vae", metric="agreement", paper=figure, **attack
        )

    magnet = {"table": "baselines", "defense": "magnet"}
    return [
        rate(3972, 4000, **CLEAN, defense="none"),
        rate(5, **PGD, defense="none"),
        rate(7, **PGD, defense="none", metric="agreement", paper=0.0073),
        rate(3930, 4000, **CLEAN, defense="pd"),
        rate(982, **PGD, defense="pd"),
        # Another setting of Table 1 that no baseline was measured under.
        rate(991, **{**PGD, "parameters": {"epsilon": 0.1}}, defense="pd"),
        rate(920, **PGD, table="table4", defense="defense_vae"),
        agreement(930, PGD),
        rate(3800, 4000, **CLEAN, **magnet),
        rate(120, 4000, **CLEAN, **magnet, metric="detection_rate"),
        rate(3760, 4000, **CLEAN, **magnet, metric="safe_rate"),
        rate(310, **PGD, **magnet),
        rate(960, **PGD, **magnet, metric="detection_rate"),
        rate(970, **PGD, **magnet, metric="safe_rate"),
        rate(150, 200, **PGD, table="baselines", defense="defense_gan"),
        rate(650, **PGD, table="baselines", defense="adversarial_pgd", threat_model="end_to_end"),
        rate(
            777,
            **PGD,
            table="baselines",
            defense="adversarial_pgd",
            threat_model="end_to_end",
            metric="agreement",
        ),
    ]


@pytest.fixture
def shown(parse):
    """A function: rows and facts of a run -> the section, parsed; without the rest of the page,
    which is slow.
    """
    return lambda rows, run=None: parse(html(rows, run or {}))


def html(rows, run):
    return (
        rendering.page("t", [Section("s", "S", section(rows, run))]).partition("<script>")[0]
        + "</body>"
    )


def test_table_4_has_the_papers_figures_and_table_1s_undefended(shown, rows):
    head, line = shown(rows).lines("table4")
    assert head == ["Attack", "No defence", "Defense-VAE (REC)"]
    assert line == [
        "PGD epsilon 0.3 n = 1000 · seed 0 settings steps 40",
        "0.005 [0.002, 0.012] agreement 0.007 [0.003, 0.014] paper 0.0073",
        "0.920 [0.902, 0.935] agreement 0.930 [0.912, 0.944] paper 0.1726",
    ]


def test_table_4_with_an_undefended_row_of_its_own(shown, rows, rate):
    own = rate(11, **PGD, table="table4", defense="none")
    _, line = shown([*rows, own]).lines("table4")
    assert line[1].startswith("0.011 ") and "0.005" not in line[1]


def test_defences_in_rows_and_attacks_in_columns(shown, rows):
    head, *body = shown(rows).lines("baselines")
    assert head == ["Defence", "No attack (clean)", "PGD epsilon 0.3, steps 40"]
    assert [line[0] for line in body] == [
        "No defence n = 4000 clean, 1000 attacked · seed 0 oblivious · from Table 1",
        "Proximity and distance n = 4000 clean, 1000 attacked · seed 0 oblivious · from Table 1",
        "Defense-VAE (REC) n = 1000 · seed 0 oblivious · from Table 4",
        "Adversarial training, PGD n = 1000 · seed 0 end_to_end",
        "MagNet n = 4000 clean, 1000 attacked · seed 0 oblivious",
        "Defense-GAN n = 200 · seed 0 oblivious",
    ]
    figures = {line[0].split(" n =")[0]: line[1:] for line in body}
    assert figures["Proximity and distance"] == ["0.9825 [0.9779, 0.9861]", "0.982 [0.972, 0.989]"]
    assert figures["Defense-VAE (REC)"] == ["–", "0.920 [0.902, 0.935]"]
    assert figures["Defense-GAN"] == ["–", "0.750 [0.686, 0.805]"]
    assert figures["MagNet"] == [
        "0.9500 [0.9428, 0.9563] refused 0.0300 [0.0251, 0.0358] safe 0.9400 [0.9322, 0.9469]",
        "0.310 [0.282, 0.339] refused 0.960 [0.946, 0.970] safe 0.970 [0.957, 0.979]",
    ]


def test_a_columns_head_is_short_where_table_1_has_one_setting(shown, rows):
    single = [row for row in rows if row["parameters"] != {"epsilon": 0.1}]
    head, *_ = shown(single).lines("baselines")
    assert head == ["Defence", "No attack (clean)", "PGD"]


def test_another_setting_in_a_column_is_named(shown, rows, rate):
    other = rate(
        490, 500, attack="pgd", parameters={"epsilon": 0.2}, table="baselines", defense="blur"
    )
    same = rate(480, 500, **PGD, table="baselines", defense="blur")
    body = shown([*rows, same, other]).lines("baselines")
    (line,) = [line for line in body if line[0].startswith("Blur")]
    assert "0.960 [0.939, 0.974] epsilon 0.3, steps 40 · n = 500" in line[2]
    assert "0.980 [0.964, 0.989] epsilon 0.2 · n = 500" in line[2]


def test_n_stands_in_the_cells_where_the_rows_head_cannot_say_it(shown, rows, rate):
    more = {"table": "baselines", "defense": "blur"}
    fgsm = rate(400, 500, attack="fgsm", **more)
    report = shown([*rows, rate(480, 600, **PGD, **more), fgsm])
    (line,) = [line for line in report.lines("baselines") if line[0].startswith("Blur")]
    assert line[0] == "Blur n = 500 to 600 · seed 0 oblivious"
    assert line[2].endswith("n = 500") and line[3].endswith("n = 600")


def test_notes_are_of_the_defences_that_were_measured(shown, rows):
    notes = {
        "magnet": "Its authors report <0.9>.",
        "blur": "Not measured.",
        "defense_vae": "Ours has clean pairs.",
    }
    page = html(rows, {"notes": notes})
    words = shown(rows, {"notes": notes}).text()
    assert "MagNetIts authors report <0.9>." in words and "<0.9>" not in page
    assert "Ours has clean pairs." in words and "Not measured." not in words
    assert "Notes on the defences" not in shown(rows).text()


def test_a_baseline_under_table_1s_attacks_is_no_line_of_the_result(written, rows, rate):
    weak = rate(1, **PGD, defense="blur")
    parsed = written([*rows, weak]).parsed
    assert [line[0] for line in parsed.lines("result")[1:]] == [
        "Classifier alone",
        "Proximity and distance",
    ]
    # But Table 1 keeps every row that it is given.
    head, *_ = parsed.lines("table1")
    assert head == ["Attack", "No defence", "Proximity and distance", "Blur"]


def test_several_seeds_in_a_row(shown, rows, rate):
    more = {"table": "baselines", "defense": "blur"}
    seeded = [rate(hits, **PGD, **more, seed=seed) for seed, hits in enumerate((480, 500, 520))]
    body = shown([*rows, *seeded, rate(970, **CLEAN, **more)]).lines("baselines")
    (line,) = [line for line in body if line[0].startswith("Blur")]
    assert line[0] == "Blur n = 1000 · seeds 0, 1, 2 oblivious"
    assert line[1].endswith("] seed 0 alone")
    # 0.5 -+ 4.30265 x 0.02 / 1.7320508.
    assert line[2] == "0.500 [0.450, 0.550] sd 0.020 · 0: 0.480 · 1: 0.500 · 2: 0.520"


def test_agreement_alone_leaves_no_empty_cell(shown, rows, rate):
    more = {"table": "baselines", "defense": "blur"}
    other = [rate(970, **CLEAN, **more), rate(480, **PGD, **more, metric="agreement")]
    body = shown([*rows, *other]).lines("baselines")
    (line,) = [line for line in body if line[0].startswith("Blur")]
    assert line[1].startswith("0.970") and line[2] == "–"
