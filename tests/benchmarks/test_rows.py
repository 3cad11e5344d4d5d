"""Ratios by hand, the order of rounds, the schema of a row, the table."""

import pytest

from benchmarks.questions.carlini_wagner import best_peer, first_as_good
from benchmarks.questions.growth import FACTORS, TARGET
from benchmarks.rows import UNITS, check_row, interleave, missed, ratio_of, row_of
from benchmarks.run import merge
from benchmarks.table import markdown


def row(**changes):
    base = {
        "question": "training",
        "case": "vanilla, batch 64",
        "ours": 400.0,
        "peer_name": "PyTorch float32",
        "peer": 200.0,
        "ratio": 2.0,
        "unit": "images/s",
    }
    return base | changes


def test_more_images_a_second_are_better_and_more_milliseconds_are_worse():
    assert ratio_of(400.0, 200.0, "images/s") == 2.0
    assert ratio_of(4.0, 2.0, "ms/image") == 0.5
    assert ratio_of(8.0, 16.0, "x") == 2.0


def test_the_ratio_is_the_median_of_the_rounds_ratios():
    """One noisy round halves both sides: the ratio of medians would be 300/150 = 2 only by luck;
    here it is 250/100.
    """
    made = row_of("q", "c", [100.0, 300.0, 250.0], "p", [25.0, 100.0, 125.0], "images/s")
    assert made["ratio"] == 3.0  # of 4, 3, 2
    assert (made["ours"], made["peer"], made["rounds"]) == (250.0, 100.0, 3)
    assert made["ratio"] != made["ours"] / made["peer"]


def test_every_round_asks_everybody_once_and_the_first_one_changes():
    asked = []

    def contestant(name):
        def measure():
            asked.append(name)
            return float(len(asked))

        return measure

    measured = interleave({name: contestant(name) for name in "abc"}, 4)
    assert "".join(asked) == "abcbcacababc"
    assert measured["a"] == [1.0, 6.0, 8.0, 10.0]
    assert {len(values) for values in measured.values()} == {4}


def test_absent_targets_are_left_out():
    made = row_of("q", "c", [1.0], "p", [2.0], "s", target=None, of_limit=0.5)
    assert "target" not in made and made["of_limit"] == 0.5
    check_row(made)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({key: value for key, value in row().items() if key != "peer"}, "lacks peer"),
        (row(speed=3), "unknown keys speed"),
        (row(unit="furlongs"), "Unknown unit"),
        (row(ours=0.0), "ours is 0.0"),
        (row(ratio=float("nan")), "ratio is nan"),
        (row(peer="fast"), "peer is 'fast'"),
        (row(target=-1.0), "target is -1.0"),
    ],
)
def test_a_broken_row_is_refused(broken, word):
    with pytest.raises(ValueError, match=word):
        check_row(broken)


def test_unequal_rounds_are_refused():
    with pytest.raises(ValueError, match="shorter than argument"):
        row_of("q", "c", [1.0, 2.0], "p", [1.0], "s")


def test_missed_targets():
    rows = [row(target=2.0), row(target=2.5), row()]
    assert missed(rows) == [rows[1]]


def test_a_question_measured_again_replaces_its_rows_and_keeps_the_others():
    before = {
        "rows": [row(), row(question="latency", unit="ms/image", ratio=0.5)],
        "curves": {"ours": []},
    }
    document = merge(before, {"training": [row(ours=600.0, ratio=3.0)]}, {"machine": {}})
    assert [(each["question"], each["ratio"]) for each in document["rows"]] == [
        ("latency", 0.5),
        ("training", 3.0),
    ]
    assert document["curves"] == {"ours": []}


def test_the_table_has_a_line_for_every_row_and_marks_what_was_missed():
    place = {"place": "defaults", "seconds": 3.25, "success": 1.0, "median_l2": 1.5}
    document = {
        "rows": [row(target=1.25), row(case="pd", target=3.0, of_limit=0.512)],
        "curves": {"foolbox": [place], "ART": [place | {"success": 0.25}]},
        "machine": {"cores": 2, "system": "Linux", "architecture": "x86_64"},
    }
    lines = markdown(document).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[1:] == [
        "vanilla, batch 64",
        "400",
        "PyTorch float32",
        "200",
        "images/s",
        "**2.00**",
        "1.25",
        "",
    ]
    assert "(missed)" in lines[3] and "| 0.51 |" in lines[3] and "(missed)" not in lines[2]
    assert "| foolbox | defaults | 3.2 | 1.000 | 1.500 |" in lines
    # A median over mostly failed images is no distance.
    assert "| ART | defaults | 3.2 | 0.250 | none |" in lines


def test_the_best_peer_succeeds_most_and_then_lies_nearest():
    places = {
        "near but rare": {"success": 0.5, "median_l2": 0.1, "seconds": 1.0},
        "far": {"success": 1.0, "median_l2": 2.0, "seconds": 1.0},
        "best": {"success": 1.0, "median_l2": 1.5, "seconds": 90.0},
    }
    assert best_peer(places) == "best"
    curve = [
        {"success": 1.0, "median_l2": 1.6, "seconds": 1.0},
        {"success": 1.0, "median_l2": 1.5, "seconds": 9.0},
        {"success": 1.0, "median_l2": 1.4, "seconds": 5.0},
        {"success": 0.9, "median_l2": 1.0, "seconds": 2.0},
    ]
    assert first_as_good(curve, places["best"]) == curve[2]
    assert first_as_good(curve[:1], places["best"]) is None


def test_growth_targets_allow_a_tenth():
    made = row_of("growth", "c", [16.0 / 0.9], "linear", [float(FACTORS[-1])], "x", target=TARGET)
    assert made["ratio"] == pytest.approx(TARGET)
    assert set(UNITS) >= {"x", "MiB"}
