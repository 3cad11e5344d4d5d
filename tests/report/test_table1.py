"""The lines of Table 1 and the bold rule; confusion matrices; attacks; settings as `--set` spells
them.
"""

import pytest

from madvae_tf.report.attacks import attack_lines
from madvae_tf.report.confusion import confusions
from madvae_tf.report.run_facts import flatten
from madvae_tf.report.table1 import best_defense, defenses_of, table1_lines


def line_of(row, **accuracies):
    """A line of Table 1 with accuracy and interval by defence."""
    rows = [
        row(defense=name, value=value, ci_low=low, ci_high=high)
        for name, (value, low, high) in accuracies.items()
    ]
    (line,) = table1_lines(rows)
    return line


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ({"none": (0.02, 0.01, 0.03), "cls": (0.97, 0.96, 0.98)}, "cls"),
        (
            {"vanilla": (0.95, 0.93, 0.96), "cls": (0.98, 0.97, 0.99), "pd": (0.90, 0.88, 0.92)},
            "cls",
        ),
        # One that touches is not better; nor one whose rival is worse but less certain.
        ({"vanilla": (0.95, 0.93, 0.97), "cls": (0.98, 0.97, 0.99)}, None),
        (
            {"vanilla": (0.95, 0.94, 0.96), "cls": (0.98, 0.97, 0.99), "pd": (0.90, 0.70, 0.98)},
            None,
        ),
        ({"vanilla": (0.97, 0.96, 0.98), "cls": (0.97, 0.96, 0.98)}, None),
        ({"none": (0.02, 0.01, 0.03), "cls": (0.97, None, None)}, None),
        ({"cls": (0.97, 0.96, 0.98)}, None),
    ],
)
def test_bold_only_where_the_interval_says_so(row, accuracies, best):
    assert best_defense(line_of(row, **accuracies)) == best


def test_lines_come_in_the_papers_order_and_settings_stay_apart(row):
    rows = [
        row(attack="pgd", defense="cls"),
        row(attack="none", parameters={}, defense="cls"),
        row(attack="pgd", defense="none"),
        row(attack="pgd", defense="cls", parameters={"epsilon": 0.2}),
        row(attack="pgd", defense="cls", threat_model="end_to_end"),
        row(attack="pgd", defense="cls", metric="agreement", value=0.975),
    ]
    lines = table1_lines(rows)
    assert [(line.attack, line.parameters.get("epsilon"), line.threat_model) for line in lines] == [
        ("none", None, "oblivious"),
        ("pgd", 0.3, "oblivious"),
        ("pgd", 0.2, "oblivious"),
        ("pgd", 0.3, "end_to_end"),
    ]
    assert defenses_of(lines) == ["none", "cls"]
    assert lines[1].cells["cls"]["agreement"]["value"] == 0.975


def test_confusion_by_hand(row):
    def count(true, predicted, value):
        cell = {"true": true, "predicted": predicted}
        return row(
            table="table9",
            defense="cls",
            metric="count",
            parameters=cell,
            value=value,
            ci_low=None,
            ci_high=None,
        )

    (matrix,) = confusions([count(0, 0, 3), count(0, 7, 1), count(7, 7, 4)])
    assert matrix.counts[7, 0] == 1 and matrix.counts[0, 7] == 0
    assert (
        matrix.per_class[0] == 0.75 and matrix.per_class[7] == 1.0 and matrix.per_class[1] is None
    )
    assert matrix.overall == 0.875
    assert matrix.paper_per_class[9] == 0.66
    # (2426 + 3214 + 2661 + 2615 + 2279 + 1933 + 2465 + 2583 + 2154 + 2003) / 30000, Table 9's
    # diagonal.
    assert matrix.paper_overall == pytest.approx(24333 / 30000)


def test_attacks_of_the_rows_and_of_the_run_are_not_doubled(row):
    rate = row(table="attacks", metric="success_rate", defense="none", value=0.97)
    size = row(
        table="attacks", metric="mean_l2", defense="none", value=5.5, ci_low=None, ci_high=None
    )
    known = {"attack": "fgsm", "parameters": {"epsilon": 0.3}, "n": 1000, "success_rate": 0.97}
    other = {"attack": "none", "parameters": {}, "n": 7}
    lines = attack_lines([rate, size], {"attacks": [known, other]})
    assert [line["attack"] for line in lines] == ["none", "fgsm"]
    assert lines[1]["success_rate"] == 0.97 and lines[1]["mean_l2"] == 5.5
    assert lines[1]["success_interval"] == (0.96, 0.98)


def test_flatten_spells_keys_as_set_does():
    assert list(flatten({"vae": {"beta": 0.1, "terms": {}}, "seed": 0})) == [
        ("vae.beta", 0.1),
        ("vae.terms", {}),
        ("seed", 0),
    ]
