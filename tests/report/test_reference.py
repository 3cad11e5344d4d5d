"""Why the paper's figures are lower: settings in rows, and the difference to the first of them in
points.
"""

import pytest


@pytest.fixture
def rows(rate):
    found = []
    for setting, accuracy, agreement, clean in (
        ("ours", 970, 975, 3920),
        ("mean_losses", 712, 718, 3600),
        ("linear_scale", 970, 976, 3924),
    ):
        own = {"setting": setting, "difference": f"What {setting} is & does", "epochs": 5}
        fgsm = {"table": "reference", "attack": "fgsm", "parameters": {"epsilon": 0.3, **own}}
        found += [
            rate(accuracy, **fgsm),
            rate(agreement, **fgsm, metric="agreement"),
            rate(clean, 4000, table="reference", attack="none", parameters=own),
        ]
    return found


def test_differences_are_to_the_first_row(written, rows):
    parsed = written(rows).parsed
    head, ours, losses, scale, paper = parsed.lines("reference")
    assert head == ["Setting", "No attack (clean)", "FGSM epsilon 0.3"]
    assert ours == [
        "ours n = 4000 clean, 1000 attacked · seed 0 What ours is & does 5 epochs",
        "0.9800 [0.9752, 0.9839]",
        "0.970 [0.957, 0.979] agreement 0.975 [0.963, 0.983]",
    ]
    assert losses[1] == "0.9000 [0.8903, 0.9089] −8.0 points"
    assert (
        losses[2] == "0.712 [0.683, 0.739] −25.8 points agreement 0.718 [0.689, 0.745] −25.7 points"
    )
    assert "0.9810" in scale[1] and scale[1].endswith("+0.1 points")
    assert "] +0.0 points agreement 0.976" in scale[2] and scale[2].endswith("+0.1 points")
    assert paper == ["The paper Table 1, vanilla; n = 10000, oblivious", "–", "agreement 0.7097"]


def test_the_order_of_the_rows_says_which_is_ours(written, rows):
    _, first, second, *_ = written([*rows[3:6], *rows[:3]]).parsed.lines("reference")
    assert first[0].startswith("mean_losses") and "points" not in " ".join(first)
    assert second[0].startswith("ours") and second[1].endswith("+8.0 points")


def test_the_introduction_and_the_threat_model(written, rows):
    report = written(rows)
    introduction = report.page.split("Why the paper’s figures are lower</h2><p>")[1].split("</p>")[
        0
    ]
    assert "0.1 · 784 / 128 = 0.61" in introduction and "agreement" in introduction
    assert round(0.1 * 784 / 128, 2) == 0.61
    # A sentence ends with a full stop and a space; the figures have neither.
    assert introduction.count(". ") + 1 <= 6
    caption = report.page.split('id="reference-caption">')[1].split("</p>")[0]
    assert "n = 1000 to 4000, seed 0; threat model: oblivious" in caption


def test_another_data_set_has_no_row_of_the_paper(written, rows):
    lines = written([{**row, "dataset": "fashion_mnist"} for row in rows]).parsed.lines("reference")
    assert len(lines) == 4 and not any(line[0].startswith("The paper") for line in lines)
