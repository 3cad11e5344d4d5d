"""Several seeds: mean, standard deviation and t-interval by hand, the bold rule, the page and the
Markdown.
"""

import math

import pytest

from madvae_tf.report.formats import to_markdown
from madvae_tf.report.seeds import mean_rows, seeds_of, t_interval
from madvae_tf.report.table1 import best_defense, table1_lines, tables

# Student's t for 95%, from a printed table: one and two degrees of freedom.
T1, T2 = 12.7062, 4.30265


def of_seeds(row, *values, **changes):
    """Rows that differ in their seed alone, each with an interval of +-0.01."""
    return [
        row(value=value, ci_low=value - 0.01, ci_high=min(1.0, value + 0.01), seed=seed, **changes)
        for seed, value in enumerate(values)
    ]


def test_the_t_interval_by_hand():
    # Deviations from the mean 0.93: -0.03, -0.01, 0.04; their squares sum to 0.0026, over k - 1 =
    # 2.
    half = T2 * math.sqrt(0.0026 / 2) / math.sqrt(3)
    assert t_interval([0.90, 0.92, 0.97]) == pytest.approx((0.93 - half, 0.93 + half), abs=1e-6)
    half = T1 * 0.01 * math.sqrt(2) / math.sqrt(2)
    assert t_interval([0.90, 0.92]) == pytest.approx((0.91 - half, 0.91 + half), abs=1e-6)
    with pytest.raises(ValueError, match="received 1, expected two or more"):
        t_interval([0.9])


def test_rows_of_several_seeds_are_one(row):
    single = row(defense="none", value=0.1, ci_low=0.09, ci_high=0.11)
    rows = [
        *of_seeds(row, 0.97, 0.90, 0.92),
        single,
        *of_seeds(row, 0.95, 0.96, metric="agreement", paper=0.71),
    ]
    rows[0], rows[2] = rows[2], rows[0]
    accuracy, alone, agreement = mean_rows(rows)
    assert accuracy["value"] == pytest.approx(0.93)
    assert accuracy["deviation"] == pytest.approx(math.sqrt(0.0013))
    assert accuracy["seeds"] == {0: 0.97, 1: 0.90, 2: 0.92} and list(accuracy["seeds"]) == [0, 1, 2]
    assert accuracy["ci_low"] == pytest.approx(0.93 - T2 * math.sqrt(0.0013 / 3), abs=1e-6)
    # The interval ends at 1.0196, which no accuracy can be.
    assert accuracy["ci_high"] == 1.0
    assert alone is single
    assert agreement["paper"] == 0.71 and seeds_of([agreement, alone]) == (0, 1)


def test_a_mean_stays_in_the_range_of_its_metric(row):
    changes = {"table": "clusters", "metric": "silhouette", "ci_low": None, "ci_high": None}
    rows = [row(value=value, seed=seed, **changes) for seed, value in enumerate((-0.9, 0.1))]
    (mean,) = mean_rows(rows)
    assert mean["value"] == pytest.approx(-0.4) and (mean["ci_low"], mean["ci_high"]) == (-1.0, 1.0)


def test_other_measurements_stay_apart(row):
    rows = [
        row(),
        row(seed=1, n=500),
        row(seed=1, parameters={"epsilon": 0.2}),
        row(seed=1, attack="pgd"),
    ]
    assert mean_rows(rows) == rows


def test_a_line_of_table_1_is_of_all_seeds(row):
    rows = [
        *of_seeds(row, 0.95, 0.96, 0.97),
        row(defense="none", value=0.1, ci_low=0.05, ci_high=0.15, seed=7),
    ]
    (line,) = table1_lines(rows)
    assert line.seeds == (0, 1, 2, 7)
    assert line.cells["vanilla"]["accuracy"]["value"] == pytest.approx(0.96)
    assert line.cells["none"]["accuracy"] is rows[-1]


@pytest.mark.parametrize(
    ("vanilla", "pd", "best"),
    [
        # Means 0.98 and 0.94; the deviations of 0.001 give intervals of +-0.0025.
        ((0.979, 0.980, 0.981), (0.939, 0.940, 0.941), "vanilla"),
        # The same means, but deviations of 0.02: +-0.05, and the intervals meet.
        ((0.96, 0.98, 1.00), (0.92, 0.94, 0.96), None),
        # Two seeds of one another's distance 0.01: +-0.0635.
        ((0.975, 0.985), (0.939, 0.940, 0.941), None),
        # One seed has the interval of its row, +-0.01.
        ((0.979, 0.980, 0.981), (0.94,), "vanilla"),
        ((0.979, 0.980, 0.981), (0.97,), None),
        ((0.98,), (0.939, 0.940, 0.941), "vanilla"),
    ],
)
def test_bold_with_several_seeds(row, vanilla, pd, best):
    rows = of_seeds(row, *vanilla, defense="vanilla") + of_seeds(row, *pd, defense="pd")
    (line,) = table1_lines(rows)
    assert best_defense(line) == best


@pytest.fixture
def seeded(row):
    """Table 1's FGSM: three seeds of vanilla, one of no defence."""
    none = {"defense": "none", "value": 0.1, "ci_low": 0.08, "ci_high": 0.12}
    return [
        row(**none),
        *of_seeds(row, 0.90, 0.92, 0.97),
        *of_seeds(row, 0.91, 0.93, 0.95, metric="agreement", paper=0.7097),
    ]


def test_the_page_shows_mean_deviation_and_every_seed(written, seeded):
    report = written(seeded, {"seed": 0})
    _, line = report.parsed.lines("table1")
    assert line[0] == "FGSM epsilon 0.3 n = 1000 · seeds 0, 1, 2"
    assert line[1] == "0.100 [0.080, 0.120] seed 0 alone"
    # 0.93 -+ 4.30265 x 0.0360555 / 1.7320508 and 0.93 -+ 4.30265 x 0.02 / 1.7320508.
    assert (
        line[2] == "0.930 [0.840, 1.000] sd 0.036 · 0: 0.900 · 1: 0.920 · 2: 0.970 "
        "agreement 0.930 [0.880, 0.980] sd 0.020 · 0: 0.910 · 1: 0.930 · 2: 0.950 paper 0.7097"
    )
    words = report.parsed.text()
    assert "n = 1000 test images per attack, seeds 0, 1, 2; threat model: oblivious." in words
    assert (
        "its 95% t-interval (for what differs from seed to seed, not for the draw of the test"
        " images)" in words
    )
    assert [line[0:3:2] for line in report.parsed.lines("result")[1:]] == [
        ["Classifier alone", "0.100 [0.080, 0.120] FGSM, epsilon 0.3, n = 1000"],
        [
            "Vanilla",
            (
                "0.930 [0.840, 1.000] sd 0.036 · 0: 0.900 · 1: 0.920 · 2: 0.970 FGSM, epsilon 0.3,"
                " n = 1000"
            ),
        ],
    ]


def test_one_seed_says_nothing_of_seeds(written, row):
    report = written([row(), row(defense="none", value=0.1, ci_low=0.08, ci_high=0.12)])
    assert "t-interval" not in report.page and '<span class="seeds">' not in report.page


def test_markdown_has_the_same_figures(seeded):
    text = to_markdown(*tables(seeded))
    _, _, line = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "FGSM (epsilon 0.3, n = 1000 · seeds 0, 1, 2)",
        "0.100 [0.080, 0.120] (seed 0 alone)",
        (
            "**0.930** [0.840, 1.000] (sd 0.036, 0: 0.900, 1: 0.920, 2: 0.970), "
            "agreement 0.930 [0.880, 0.980] (sd 0.020, 0: 0.910, 1: 0.930, 2: 0.950; paper 0.7097)"
        ),
    ]
    assert "a cell shows their mean, in brackets its 95% t-interval" in " ".join(text.split())


def test_markdown_keeps_two_settings_of_an_attack_apart(row):
    rows = [row(), row(parameters={"epsilon": 0.2}, value=0.975)]
    text = to_markdown(*tables(rows))
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| FGSM")]
    assert [line[0].split(", ")[0].strip() for line in lines] == [
        "FGSM (epsilon 0.3",
        "FGSM (epsilon 0.2",
    ]
    assert [line[1].split()[0] for line in lines] == ["0.970", "0.975"]
    assert "t-interval" not in text
